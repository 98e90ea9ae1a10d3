"""What has been delivered and is not acknowledged yet, and how far each partition may be committed: no I/O.

The watermark of a partition is the end of what was acknowledged without a gap (Samza's and Kafka Streams' rule; the
algorithm is that of Confluent's parallel consumer, without its note of what is finished beyond the gap).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)


class Flight:
    """One partition. Deliveries are spans `[first, after)` of offsets, in order; a span is acknowledged as a whole.

    Offsets between two spans hold no record for us (markers of transactions, compaction) and are passed over.
    """

    __slots__ = ("_line", "_open", "mark")

    def __init__(self, start: int) -> None:
        self.mark = start
        """The offset to commit: everything before it is done."""
        self._line: deque[tuple[int, int]] = deque()
        self._open: set[int] = set()

    def deliver(self, first: int, after: int) -> None:
        self._line.append((first, after))
        self._open.add(first)

    def acknowledge(self, first: int) -> bool:
        """False for what is not under way (any more): then nothing happens."""
        if first not in self._open:
            return False
        self._open.remove(first)
        line = self._line
        while line and line[0][0] not in self._open:
            self.mark = line.popleft()[1]
        return True

    def split(self, first: int, at: int) -> bool:
        """Of the span that begins at `first` only what lies before `at` will be acknowledged: the rest is a span of its
        own, which stays open. False for what is not under way (any more)."""
        if first not in self._open:
            return False
        place = next(place for place, span in enumerate(self._line) if span[0] == first)
        _, after = self._line[place]
        if not first < at < after:
            raise ValueError(f"{at} is not within {first} to {after}")
        self._line[place] = (first, at)
        self._line.insert(place + 1, (at, after))
        self._open.add(at)
        return True

    @property
    def outstanding(self) -> int:
        """Spans that are delivered and not acknowledged."""
        return len(self._open)

    @property
    def has_gap(self) -> bool:
        """Something is done beyond something that is not: to commit the watermark now would repeat it."""
        return len(self._line) > len(self._open)


class Flights(Generic[P]):
    """All partitions of a worker.

    `generation` rises whenever what is under way becomes void: an acknowledgement from an earlier one is ignored, so
    is anything fetched before it.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.deferred: set[P] = set()
        """Partitions whose events leave nothing in a transaction before they are done: no commit waits for them."""
        self._outstanding = 0
        self._flights: dict[P, Flight] = {}
        self._committed: dict[P, int] = {}

    def __contains__(self, partition: object) -> bool:
        return partition in self._flights

    @property
    def outstanding(self) -> int:
        """Spans that are delivered and not acknowledged, over all partitions that a commit waits for."""
        return self._outstanding - sum(self._flights[p].outstanding for p in self.deferred if p in self._flights)

    @property
    def is_idle(self) -> bool:
        """All that was delivered is acknowledged."""
        return not self._outstanding

    def restart(self, *, gained: Mapping[P, int], left: Iterable[P] = ()) -> dict[P, int]:
        """Makes void what is under way, after a change of the assignment. Gives where each partition is to be read
        from: a gained one at its offset, a kept one where it was committed."""
        for partition in left:
            self._committed.pop(partition, None)
        self._committed.update(gained)
        return self.rewind()

    def rewind(self) -> dict[P, int]:
        """Makes void what is under way and takes all partitions back to where they were committed."""
        self.generation += 1
        self._outstanding = 0
        self._flights = {partition: Flight(offset) for partition, offset in self._committed.items()}
        return dict(self._committed)

    def deliver(self, partition: P, first: int, after: int) -> None:
        self._flights[partition].deliver(first, after)
        self._outstanding += 1

    def acknowledge(self, partition: P, first: int, generation: int) -> bool:
        """Whether it counted."""
        flight = self._flights.get(partition)
        if generation != self.generation or flight is None or not flight.acknowledge(first):
            return False
        self._outstanding -= 1
        return True

    def split(self, partition: P, first: int, at: int, generation: int) -> None:
        """See `Flight.split`; nothing happens for what belongs to an earlier generation."""
        flight = self._flights.get(partition)
        if generation == self.generation and flight is not None and flight.split(first, at):
            self._outstanding += 1

    @property
    def has_gap(self) -> bool:
        return any(flight.has_gap for flight in self._flights.values())

    def due(self) -> dict[P, int]:
        """The watermarks that are further than what was committed."""
        committed = self._committed
        return {p: flight.mark for p, flight in self._flights.items() if flight.mark > committed[p]}

    @property
    def done(self) -> int:
        """About how many events are done and not committed: offsets, some of which may be of no event."""
        return sum(mark - self._committed[partition] for partition, mark in self.due().items())

    def waiting(self) -> dict[P, int]:
        """Up to where those partitions are committed that have events under way, done or not."""
        committed = self._committed
        return {
            p: committed[p] for p, flight in self._flights.items() if flight.outstanding or flight.mark > committed[p]
        }

    def committed(self, offsets: Mapping[P, int]) -> None:
        """Kafka has them. Partitions that have left meanwhile are left alone."""
        for partition, offset in offsets.items():
            if partition in self._committed:
                self._committed[partition] = offset

    def position(self, partition: P) -> int | None:
        """Where a partition was committed last; None for one that is not held."""
        return self._committed.get(partition)
