"""How far one partition is done in one piece, and what is done beyond that, however its records finish.

An offset is safe to commit when every record before it is finished: a successor begins there, and what it did not
see it would never see. Offsets are not consecutive (transaction markers, compaction), so they count only as they come.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

T = TypeVar("T")


class Watermark(Generic[T]):
    """Records of one partition, begun in order, finished in any. A finished one keeps its outcome until `keep`.

    `done` are the offsets beyond the next one that a predecessor has finished.
    """

    def __init__(self, next_offset: int, done: Collection[int] = ()) -> None:
        self._begun: deque[int] = deque()
        """From the first that is open on."""
        self._open: set[int] = set()
        self._finished: dict[int, T] = {}
        self._done = frozenset(done)
        self._noted = sorted(done)
        self._next = int(next_offset)

    @property
    def next_to_begin(self) -> int:
        """What has a lower offset has begun already."""
        return self._next

    def begin(self, offset: int) -> bool:
        """False, and there is nothing to do, when that record has begun before, or a predecessor has finished it."""
        if offset < self._next:
            return False
        self._next = offset + 1
        self._begun.append(offset)
        if offset in self._done:
            return False
        self._open.add(offset)
        return True

    def finish(self, offset: int, outcome: T) -> None:
        """Raises KeyError for a record that has not begun, or is finished already."""
        self._open.remove(offset)
        self._finished[offset] = outcome

    @property
    def position(self) -> int:
        """The next offset that is safe to commit."""
        while self._begun and self._begun[0] not in self._open:
            self._begun.popleft()
        return self._begun[0] if self._begun else self._next

    def ahead(self, before: int) -> list[int]:
        """The offsets between `position` and that one which are finished: safe to be passed over by a successor.

        A predecessor's that have not come yet are among them: who leaves them out has them done twice.
        """
        start = self.position
        begun = [offset for offset in self._begun if start <= offset < before and offset not in self._open]
        return begun + self._noted[bisect_left(self._noted, self._next) : bisect_left(self._noted, before)]

    def finished(self, before: int) -> list[tuple[int, T]]:
        """The outcomes that are not kept yet, of records before that offset, in order."""
        return sorted(((o, outcome) for o, outcome in self._finished.items() if o < before), key=lambda pair: pair[0])

    def keep(self, offset: int) -> T:
        """What became of that record is durable: its outcome, which is not kept here any longer."""
        return self._finished.pop(offset)
