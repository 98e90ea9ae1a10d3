"""Drops what was published twice: by `ce_id`, per input partition, within a window."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mainstem.codec import headers as h
from mainstem.codec.message import Message, origin_of
from mainstem.event import Origin, Partition
from mainstem.flow.window import Window
from mainstem.kafka.reader import reading

CAPACITY = 50_000
Ranges = Mapping[Partition, tuple[int, int]]
Tail = Callable[[Ranges], Iterable[Sequence[Message]]]
"""Reads the records [start, end) of some partitions, as far as they are still there. Blocks."""


def topic_tail(config: Mapping[str, Any]) -> Tail:
    """Reads from Kafka, outside of any group. Raises Unreachable."""

    def read(ranges: Ranges) -> Iterable[Sequence[Message]]:
        with reading(config) as reader:
            there = {p: (max(start, reader.bounds(p)[0]), end) for p, (start, end) in ranges.items()}
            yield from reader.read(there)

    return read


class Duplicates:
    """A window for each partition, filled from the topic's tail when a partition comes (back) to this worker."""

    def __init__(self, tail: Tail, *, capacity: int = CAPACITY) -> None:
        self._tail = tail
        self._capacity = capacity
        self._windows: dict[Partition, Window] = {}
        self._noted_to: dict[Partition, int] = {}
        self._current: set[Partition] = set()

    def reassigned(self) -> None:
        """Partitions were given out anew: others may have processed records since the last ones seen here."""
        self._current.clear()

    async def among(self, messages: Sequence[Message]) -> list[bool]:
        """For each record, whether its event stands at an earlier place too. Raises Unreachable.

        A record that is asked for again is the same one still, not its own duplicate.
        """
        await self._catch_up(messages)
        return [self._note(message) for message in messages]

    async def _catch_up(self, messages: Sequence[Message]) -> None:
        first: dict[Partition, int] = {}
        for message in messages:
            topic, number, offset = origin_of(message)
            if Partition(topic, number) not in self._current:
                first.setdefault(Partition(topic, number), offset)
        if not first:
            return
        starts = {p: max(self._noted_to.get(p, 0), at - self._capacity) for p, at in first.items()}
        ranges = {p: (start, first[p]) for p, start in starts.items() if start < first[p]}
        if ranges:
            await asyncio.to_thread(self._read, ranges)
        self._current |= first.keys()

    def _read(self, ranges: Ranges) -> None:
        for batch in self._tail(ranges):
            for message in batch:
                self._note(message)

    def _note(self, message: Message) -> bool:
        topic, partition, offset = origin_of(message)
        at = Partition(topic, partition)
        window = self._windows.get(at)
        if window is None:
            window = self._windows[at] = Window(self._capacity)
        self._noted_to[at] = max(self._noted_to.get(at, 0), offset + 1)
        identity = _identity(message.headers())
        return identity is not None and window.is_duplicate(identity, Origin(topic, partition, offset))


def _identity(headers: h.Headers | None) -> str | None:
    """Event id and revision: an edited event is another one. None for a record without an id: it has no double."""
    known = h.as_dict(headers)
    event_id = h.text(known, h.ID)
    revision = known.get(h.REVISION)
    return f"{event_id}#{revision.decode(errors='replace')}" if event_id and revision else event_id
