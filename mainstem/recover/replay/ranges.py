"""Which part of which topics is replayed. Values and arithmetic, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from mainstem.event import Partition


@dataclass(frozen=True, slots=True)
class Extent:
    """What was asked for. Times are those of publishing (Kafka's), or with `by_event_time` those of the events.

    Offsets name single partitions, and then only these are replayed. Nothing given means everything.
    """

    since: datetime | None = None
    until: datetime | None = None
    """Exclusive, as `last` is."""
    first: Mapping[Partition, int] = field(default_factory=dict)
    last: Mapping[Partition, int] = field(default_factory=dict)
    by_event_time: bool = False

    def has_event(self, time: datetime | None) -> bool:
        """Whether an event of that time is meant; without a time it cannot be told, and it is not."""
        if not self.by_event_time:
            return True
        if time is None:
            return False
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)


class Range(NamedTuple):
    """Offsets [start, end) of one partition, and how many of the records in it are to be replayed."""

    topic: str
    partition: int
    start: int
    end: int
    records: int = 0

    @property
    def of(self) -> Partition:
        return Partition(self.topic, self.partition)


class Hole(NamedTuple):
    """Offsets [start, end) that were asked for, or may have been, and that retention has deleted."""

    topic: str
    partition: int
    start: int
    end: int
    certain: bool
    """False: they are older than what the topic holds, and may have been outside of the time that was asked for."""


Bounds = Mapping[Partition, tuple[int, int]]
"""The first offset that a partition holds and the one after its last, by partition."""


def freeze(bounds: Bounds, extent: Extent, by_time: Bounds) -> tuple[list[Range], list[Hole]]:
    """The ranges that the extent means now, and what of them is gone.

    `by_time` has, for publishing times, the offsets that they mean in each partition.
    """
    named = {*extent.first, *extent.last}
    is_timed = extent.since is not None or extent.by_event_time
    ranges, holes = [], []
    for partition in sorted(named or bounds):
        low, high = bounds[partition]
        timed = by_time.get(partition, (low if is_timed else 0, high))
        wanted = extent.first.get(partition, timed[0])
        start = max(low, wanted)
        end = min(high, extent.last.get(partition, timed[1]))
        if start < end:
            ranges.append(Range(*partition, start, end))
        hole = _hole(partition, wanted, low, end, is_timed=is_timed)
        if hole is not None:
            holes.append(hole)
    return ranges, holes


def _hole(partition: Partition, wanted: int, low: int, end: int, *, is_timed: bool) -> Hole | None:
    if wanted < min(low, end):
        return Hole(*partition, wanted, min(low, end), certain=True)
    if is_timed and low > 0 and wanted == low and end > low:
        return Hole(*partition, 0, low, certain=False)
    return None


def remaining(ranges: Sequence[Range], positions: Mapping[Partition, int]) -> dict[Partition, tuple[int, int]]:
    """What is left of the ranges for a replay that stands at these positions."""
    left = {part.of: (positions.get(part.of, part.start), part.end) for part in ranges}
    return {partition: span for partition, span in left.items() if span[0] < span[1]}
