"""Drops what was published twice: by `ce_id`, per input partition, within a window."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from mainstem.codec import headers as h
from mainstem.codec.message import Message, ReceivedEvent, origin_of
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

    async def among(self, events: Sequence[ReceivedEvent]) -> list[bool]:
        """For each, whether it stands at an earlier place too. Raises Unreachable.

        A record that is asked for again is the same one still, not its own duplicate.
        """
        places = [origin_of(event.message) for event in events]
        await self._catch_up(places)
        return self._note(places, map(_identity, map(_known, events)))

    async def _catch_up(self, places: Sequence[Origin]) -> None:
        first: dict[Partition, int] = {}
        for partition in {Partition(topic, number) for topic, number, _ in places} - self._current:
            first[partition] = next(offset for topic, number, offset in places if (topic, number) == partition)
        if not first:
            return
        starts = {p: max(self._noted_to.get(p, 0), at - self._capacity) for p, at in first.items()}
        ranges = {p: (start, first[p]) for p, start in starts.items() if start < first[p]}
        if ranges:
            await asyncio.to_thread(self._read, ranges)
        self._current |= first.keys()

    def _read(self, ranges: Ranges) -> None:
        for batch in self._tail(ranges):
            self._note(map(origin_of, batch), (_identity(h.as_dict(message.headers())) for message in batch))

    def _note(self, places: Iterable[Origin], identities: Iterable[str | None]) -> list[bool]:
        """Whether each is a duplicate of what was noted before it."""
        found = []
        at, window = Partition("", -1), Window(0)
        for place, identity in zip(places, identities, strict=True):
            if place[:2] != at:  # rarely: a batch comes partition by partition
                at = Partition(place.topic, place.partition)
                window = self._windows.setdefault(at, Window(self._capacity))
            self._noted_to[at] = max(self._noted_to.get(at, 0), place.offset + 1)
            found.append(identity is not None and window.is_duplicate(identity, place))
        return found


_known = attrgetter("known")


def _identity(known: Mapping[str, bytes]) -> str | None:
    """Event id and revision: an edited event is another one. None for a record without an id: it has no double."""
    event_id = h.text(known, h.ID)
    revision = known.get(h.REVISION)
    return f"{event_id}#{revision.decode(errors='replace')}" if event_id and revision else event_id
