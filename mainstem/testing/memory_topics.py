"""Kafka's topics in memory: one partition each, nothing is ever deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import time

from mainstem.codec.message import Message
from mainstem.event import Partition
from mainstem.kafka.record import Record
from mainstem.testing.raw_message import RawMessage

SET_BY_PRODUCER = 1


class MemoryTopics:
    """What was written, by topic, in order; a topic exists as soon as somebody writes to it."""

    def __init__(self) -> None:
        self._topics: dict[str, list[Message]] = {}

    async def send(self, records: Sequence[Record]) -> None:
        """Appends; the way in for what takes a producer."""
        self.append(records)

    def append(self, records: Iterable[Record]) -> None:
        """Appends the records, all at once."""
        now_ms = int(time() * 1000)
        for record in records:
            topic = self._topics.setdefault(record.topic, [])
            stamp = (SET_BY_PRODUCER, now_ms)
            topic.append(RawMessage(record.topic, 0, len(topic), record.key, record.value, record.headers, stamp))

    def read(self, topic: str, start: int = 0, end: int | None = None) -> Sequence[Message]:
        """The records from offset `start` on, up to but without `end`."""
        return self._topics.get(topic, [])[start:end]

    def tail(self, ranges: Mapping[Partition, tuple[int, int]]) -> Iterable[Sequence[Message]]:
        """Reads several ranges, as a stream does that looks for duplicates."""
        return [self.read(partition.topic, start, end) for partition, (start, end) in ranges.items()]
