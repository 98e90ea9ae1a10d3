"""What Kafka says of the workers' group: how far it is.

Not who is in it: asking the library's admin client while a broker is away may abort the process, or never end
(https://github.com/confluentinc/librdkafka/issues/4605).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

ANSWER_S = 2.0
FIRST_ANSWER_S = 30.0


def shorten_session(config: Mapping[str, Any], group: str, session_s: float) -> None:
    """Of a KIP-848 group, whose session is the broker's to say: 45 s by default."""
    wanted = {"consumer.session.timeout.ms": session_s * 1000, "consumer.heartbeat.interval.ms": session_s * 250}
    entries = [
        ConfigEntry(name, str(int(value)), incremental_operation=AlterConfigOpType.SET)
        for name, value in wanted.items()
    ]
    resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=entries)
    admin = AdminClient(dict(config))  # it answers only while it is there
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(FIRST_ANSWER_S)


class Committed:
    """How far a group is, and whether anybody ever set it back: a worker that slept, and did not know."""

    def __init__(self) -> None:
        self.positions: dict[tuple[str, int], int] = {}
        self.setbacks: list[str] = []

    def see(self, place: tuple[str, int], offset: int) -> None:
        """The offset is committed now; a negative one says that none is."""
        if offset < 0:
            return
        before = self.positions.get(place, 0)
        if offset < before:
            self.setbacks.append(f"partition {place[1]} was set back from {before} to {offset}")
        self.positions[place] = offset


class GroupView:
    """Asked again and again; while Kafka does not answer, what it said last stands. Use as a context manager."""

    def __init__(self, config: Mapping[str, Any], group: str, topic: str, partitions: int) -> None:
        self.committed = Committed()
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        # A read_committed client would wait for the end of a dead worker's transaction.
        own = {"group.id": group, "enable.auto.commit": False, "isolation.level": "read_uncommitted"}
        self._consumer = Consumer({**config, **own})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    @property
    def positions(self) -> dict[tuple[str, int], int]:
        """Committed offsets."""
        return self.committed.positions

    def look(self) -> bool:
        """How far the group is. False while Kafka does not answer."""
        try:
            found = self._consumer.committed(self._places, timeout=ANSWER_S)
        except KafkaException:
            return False
        for place in found:
            self.committed.see((place.topic, place.partition), place.offset)
        return True

    def ends(self) -> dict[tuple[str, int], int] | None:
        """Where its partitions end; None while Kafka does not answer."""
        try:
            found = [self._consumer.get_watermark_offsets(place, timeout=ANSWER_S)[1] for place in self._places]
        except KafkaException:
            return None
        return {(place.topic, place.partition): end for place, end in zip(self._places, found, strict=True)}
