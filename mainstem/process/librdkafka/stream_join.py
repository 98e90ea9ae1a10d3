"""A windowed join of two streams by key, as values and decisions: no I/O.

An event of the left at time t and one of the right at time t' belong together if t - before <= t' <= t + after. Each
pair is found once, by the event of it that comes later. In a left or outer join an event without a partner comes out
alone, once no partner can come any more.

What can come is judged by the time of the partition: the latest event of the side that is behind. (Kafka Streams goes
by the side that is ahead.) An event that is older than that by more than `grace` is too late: it joins nothing. So what
comes out depends on the events alone, and not on how fast either side is read. A side that rests holds back what of the
other stays alone.

After Kafka Streams' KStream-KStream join: https://kafka.apache.org/documentation/streams/ ("Joining").
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, NamedTuple

from mainstem.process.librdkafka.join_kind import Kind, Side

Buffer = MutableMapping[bytes, bytes]
"""One side's events of one partition: see `Entry.name` and `Entry.content`."""
LONG = 8
"""Bytes of a time or an offset in an entry's name."""
NEVER = -(2**63)


@dataclass(frozen=True, slots=True)
class Window:
    """How far apart the events of a pair may be, in milliseconds."""

    before_ms: int
    """The right one before the left one."""
    after_ms: int
    """The right one after the left one."""
    grace_ms: int = 0
    """How far events may be behind the latest one of their partition."""

    def __post_init__(self) -> None:
        if min(self.before_ms, self.after_ms, self.grace_ms) < 0:
            raise ValueError("a window's times are not negative")

    def partners(self, side: Side, at_ms: int) -> tuple[int, int]:
        """The times of the other side's events that belong to one of this side and time."""
        if side is Side.LEFT:
            return at_ms - self.before_ms, at_ms + self.after_ms
        return at_ms - self.after_ms, at_ms + self.before_ms

    def ends_ms(self, side: Side, at_ms: int) -> int:
        """The partition's time after which no partner can come any more."""
        return self.partners(side, at_ms)[1] + self.grace_ms


class Entry(NamedTuple):
    """Where one event stands; in order of time."""

    at_ms: int
    offset: int
    key: bytes

    def name(self) -> bytes:
        """What it is called in a buffer."""
        return self.at_ms.to_bytes(LONG, "big", signed=True) + self.offset.to_bytes(LONG, "big") + self.key


def entry_of(name: bytes) -> Entry:
    """The entry that is called so."""
    at_ms = int.from_bytes(name[:LONG], "big", signed=True)
    return Entry(at_ms, int.from_bytes(name[LONG : 2 * LONG], "big"), name[2 * LONG :])


class Pair(NamedTuple):
    """What belongs together; None where there is no partner. The values are the bytes that came."""

    key: bytes
    left: bytes | None
    right: bytes | None


ALONE, MATCHED = b"\x00", b"\x01"
"""Before the value of an entry: whether it has had a partner."""


class _Index:
    """One side's entries: by key and time, and by when they are over."""

    def __init__(self, side: Side, window: Window, buffer: Buffer) -> None:
        self.latest_ms = NEVER
        """Always the time of one that is kept: the latest one is over only after the time that it makes."""
        self._side = side
        self._window = window
        self._by_key: dict[bytes, list[Entry]] = {}
        self._ending: list[tuple[int, Entry]] = []
        for name in list(buffer):
            self.add(entry_of(name))

    def add(self, entry: Entry) -> None:
        there = self._by_key.setdefault(entry.key, [])
        at = bisect_left(there, entry)
        if at < len(there) and there[at] == entry:
            return  # it is done again
        insort(there, entry)
        heappush(self._ending, (self._window.ends_ms(self._side, entry.at_ms), entry))
        self.latest_ms = max(self.latest_ms, entry.at_ms)

    def between(self, key: bytes, first_ms: int, last_ms: int) -> list[Entry]:
        there = self._by_key.get(key, [])
        begin = bisect_left(there, Entry(first_ms, -1, b""))
        return there[begin : bisect_right(there, Entry(last_ms + 1, -1, b""))]

    def over(self, now_ms: int) -> Iterator[Entry]:
        """Those that are over at that time, which are not kept any more."""
        while self._ending and self._ending[0][0] < now_ms:
            _, entry = heappop(self._ending)
            there = self._by_key[entry.key]
            there.remove(entry)
            if not there:
                del self._by_key[entry.key]
            yield entry


class StreamJoin:
    """The join of one partition. Its state is in the two buffers; what is kept beside can be made from them again."""

    def __init__(self, kind: Kind, window: Window, left: Buffer, right: Buffer) -> None:
        self._kind = kind
        self._window = window
        self._buffers = {Side.LEFT: left, Side.RIGHT: right}
        self._indexes = {side: _Index(side, window, buffer) for side, buffer in self._buffers.items()}

    @property
    def now_ms(self) -> int:
        """The partition's time."""
        return min(index.latest_ms for index in self._indexes.values())

    def see(self, side: Side, entry: Entry, value: bytes, emit: Callable[[Pair], Any]) -> bool:
        """One event: tells `emit` of its pairs, in the order of its partners' times, and of those that stay alone now.

        False where it is too late. Nothing is changed if `emit` raises.
        """
        if entry.at_ms + self._window.grace_ms < self.now_ms:
            return False
        partners = self._indexes[side.other].between(entry.key, *self._window.partners(side, entry.at_ms))
        buffer = self._buffers[side.other]
        for partner in partners:
            emit(_pair(side, entry.key, value, buffer[partner.name()][1:]))
        over = self._over(side, entry.at_ms)
        try:
            for pair in self._alone(over):
                emit(pair)
        except BaseException:
            for each, gone in over:
                self._indexes[each].add(gone)
            raise
        for each, gone in over:
            del self._buffers[each][gone.name()]
        self._keep(side, entry, value, partners)
        return True

    def _over(self, side: Side, at_ms: int) -> list[tuple[Side, Entry]]:
        """What is over now that there is an event of that time: its own partners are not among it."""
        index, other = self._indexes[side], self._indexes[side.other]
        now_ms = min(max(index.latest_ms, at_ms), other.latest_ms)
        over = [(each, gone) for each, its in self._indexes.items() for gone in its.over(now_ms)]
        return sorted(over, key=lambda one: one[1])

    def _alone(self, over: list[tuple[Side, Entry]]) -> Iterator[Pair]:
        for side, entry in over:
            if self._kind is Kind.INNER or (self._kind is Kind.LEFT and side is Side.RIGHT):
                continue
            kept = self._buffers[side][entry.name()]
            if kept[:1] == ALONE:
                yield _pair(side, entry.key, kept[1:], None)

    def _keep(self, side: Side, entry: Entry, value: bytes, partners: list[Entry]) -> None:
        self._indexes[side].add(entry)
        self._buffers[side][entry.name()] = (MATCHED if partners else ALONE) + value
        other = self._buffers[side.other]
        for partner in partners:
            kept = other[partner.name()]
            if kept[:1] == ALONE:
                other[partner.name()] = MATCHED + kept[1:]


def _pair(side: Side, key: bytes, value: bytes | None, partner: bytes | None) -> Pair:
    return Pair(key, value, partner) if side is Side.LEFT else Pair(key, partner, value)
