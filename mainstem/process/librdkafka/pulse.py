"""Asks every few seconds how far behind a worker is, and how much of its tables is left to restore."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from faust.types import TP

from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.observing import Observer, Tell

LAG_S = 5.0
RESTORE_S = 1.0

log = logging.getLogger(__name__)


class Pulse:
    """See the module. Kafka is asked in a thread; while it does not answer the last numbers stand."""

    def __init__(self, app: Any, flights: Flights[TP], observer: Observer, tell: Tell) -> None:
        self._app = app
        self._flights = flights
        self._observer = observer
        self._tell = tell
        self.behind: Mapping[TP, int] = {}
        self.restoring: Mapping[TP, int] = {}

    async def beat(self, held: set[TP], *, is_restored: bool) -> float:
        """In how many seconds the next one is due."""
        if not is_restored:
            await self._look_at_changelogs()
            return RESTORE_S
        if self.restoring:
            self.restoring = {}
            self._tell(self._observer.restoring, {})
        await self._look_at_sources(held)
        return LAG_S

    async def _look_at_sources(self, held: set[TP]) -> None:
        ends = await self._ends(held)
        if ends is None:
            return
        positions = {tp: self._flights.position(tp) for tp in ends}
        self.behind = {tp: max(0, ends[tp] - position) for tp, position in positions.items() if position is not None}
        self._tell(self._observer.lagging, self.behind)

    async def _look_at_changelogs(self) -> None:
        tables = {table.changelog_topic_name: table for table in self._app.tables.values()}
        changelogs = {tp for tp in self._app.assignor.assigned_actives() if tp.topic in tables}
        ends = await self._ends(changelogs)
        if not ends:
            return
        left = {}
        for tp, end in ends.items():
            offset = tables[tp.topic].data.persisted_offset(tp)
            left[tp] = max(0, end - (0 if offset is None else offset + 1))
        self.restoring = left
        self._tell(self._observer.restoring, left)

    async def _ends(self, tps: set[TP]) -> dict[TP, int] | None:
        """None while Kafka does not answer."""
        if not tps:
            return {}
        try:
            ends: dict[TP, int] = await asyncio.get_running_loop().run_in_executor(
                None, self._app.transport.admin.ends, tps
            )
        except (KafkaException, TimeoutError) as error:
            log.info("the ends of the partitions are not known now: %s", error)
            return None
        return ends
