"""Stands in for Faust's own assignor: the broker or librdkafka assigns the sources by range, changelogs follow them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from faust.types import TP


class Assignor:
    """Changelog partition n belongs to whoever has partition n of a source with as many partitions. `range` gives equal
    numbers of all topics to the same worker, so there is only one."""

    def __init__(self, app: Any, replicas: int = 0) -> None:
        self._app = app
        self._actives: set[TP] = set()

    def on_assigned(self, sources: set[TP]) -> None:
        """These sources are ours now."""
        topics = self._app.transport.admin
        numbers: dict[int | None, set[int]] = defaultdict(set)
        for tp in sources:
            numbers[topics.partitions(tp.topic)].add(tp.partition)
        changelogs = self._app.tables.changelog_topics
        self._actives = sources | {
            TP(name, number) for name in changelogs for number in numbers.get(topics.partitions(name), ())
        }

    def assigned_actives(self) -> set[TP]:
        return set(self._actives)

    def assigned_standbys(self) -> set[TP]:
        """There are none."""
        return set()

    def is_active(self, tp: TP) -> bool:
        return tp in self._actives

    def is_standby(self, tp: TP) -> bool:
        return False

    def group_for_topic(self, topic: str) -> int:
        return 0

    def table_metadata(self, topic: str) -> Mapping[str, Any]:
        return {}

    def tables_metadata(self) -> Mapping[str, Any]:
        return {}

    def external_topics_metadata(self) -> Mapping[str, Any]:
        return {}

    def external_key_store(self, topic: str, key: bytes) -> Any:
        return self.key_store(topic, key)

    def key_store(self, topic: str, key: bytes) -> Any:
        return self._app.conf.canonical_url
