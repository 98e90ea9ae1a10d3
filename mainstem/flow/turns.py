"""Whose turn it is: the lanes of a sink, each with the records of one key, in the order in which they came."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from mainstem.flow.item import Item
from mainstem.sdk.sink import ParkedKey

UNBOUNDED = 1 << 62


@dataclass(slots=True)
class Entry:
    """One record that waits for its turn, or is being written."""

    item: Item
    lane: Lane
    failures: int = 0
    """How often the target has asked to try it again."""
    most: int = UNBOUNDED
    """The records of a write that it may be part of: halved until the one that is refused is alone."""


@dataclass(slots=True, eq=False)
class Lane:
    """The records of one key, oldest first. What is being written of it has left the queue."""

    scope: ParkedKey
    queue: deque[Entry] = field(default_factory=deque)


class Turns:
    """Where each lane stands: it has its turn, is being written, rests, is held, or is suspended.

    Somebody who takes a lane by `next` says afterwards where it stands from then on.
    """

    def __init__(self) -> None:
        self._lanes: dict[ParkedKey, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._resting: list[tuple[float, int, Lane]] = []
        self._held: dict[ParkedKey, Lane] = {}
        self._suspended: dict[ParkedKey, Lane] = {}
        self._numbers = count()

    def __len__(self) -> int:
        """Lanes that have records, also such as are being written."""
        return len(self._lanes)

    def add(self, item: Item) -> None:
        """Behind the others of its key. A key that has none gets its turn behind the others."""
        lane = self._lanes.get(item.scope)
        if lane is None:
            lane = self._lanes[item.scope] = Lane(item.scope)
            self._ready.append(lane)
        lane.queue.append(Entry(item, lane))

    def has_one(self, now: float) -> bool:
        """Whether `next` would give a lane."""
        return bool(self._ready) or (bool(self._resting) and self._resting[0][0] <= now)

    def next(self, now: float) -> Lane | None:
        """The lane whose turn it is. It is nobody's until one of the methods below says what becomes of it."""
        while self._resting and self._resting[0][0] <= now:
            self._ready.append(heapq.heappop(self._resting)[2])
        return self._ready.popleft() if self._ready else None

    def rests_until(self) -> float | None:
        """When the first of the resting lanes gets its turn again."""
        return self._resting[0][0] if self._resting else None

    def done(self, lane: Lane) -> None:
        """What was taken of it is settled: its next record comes after those of the others."""
        if lane.queue:
            self._ready.append(lane)
        else:
            del self._lanes[lane.scope]

    def first(self, lane: Lane) -> None:
        """It has its turn before all others."""
        self._ready.appendleft(lane)

    def put_back(self, entries: Sequence[Entry]) -> None:
        """They are still to be written: each at the head of its lane again."""
        for entry in reversed(entries):
            entry.lane.queue.appendleft(entry)

    def rest(self, lane: Lane, until: float) -> None:
        heapq.heappush(self._resting, (until, next(self._numbers), lane))

    def hold(self, lane: Lane) -> None:
        """Until `let_go`."""
        self._held[lane.scope] = lane

    def let_go(self, scope: ParkedKey) -> None:
        """If it is held it has its turn again."""
        lane = self._held.pop(scope, None)
        if lane is not None:
            self._ready.append(lane)

    def suspend(self, lane: Lane) -> None:
        """Until `resume`."""
        self._suspended[lane.scope] = lane

    def is_suspended(self, lane: Lane) -> bool:
        return lane.scope in self._suspended

    def resume(self, scope: ParkedKey) -> None:
        """If it is suspended it has its turn before all others."""
        lane = self._suspended.pop(scope, None)
        if lane is not None:
            self._ready.appendleft(lane)

    def resume_all(self) -> None:
        """All that are suspended have their turn again."""
        self._ready.extend(self._suspended.values())
        self._suspended.clear()
