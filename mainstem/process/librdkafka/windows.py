"""Which windows of a partition are over: no I/O.

By the time of its events, as in Kafka Streams, and not by the clock: a stream that is processed again, or late, closes
the same windows after the same events. The keys of a windowed table are `(key, (start, end))`, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any

Window = tuple[Any, tuple[float, float]]


class Ends:
    """The windows that are kept, by their ends. What has changed since the last commit can be taken back."""

    def __init__(self, kept: Iterable[Window] = ()) -> None:
        self.latest_s = float("-inf")
        """The start of the youngest window: an event of that time, or a later one, was seen."""
        self._ending: dict[float, set[Window]] = {}
        self._order: list[float] = []
        self._done: list[tuple[Window, bool]] = []
        """Since the last commit, in order: a window, and whether it was added, or taken."""
        for window in kept:
            self.add(window)
        self.keep()

    def add(self, window: Window) -> None:
        start, _ = window[1]
        self.latest_s = max(self.latest_s, start)
        if self._insert(window):
            self._done.append((window, True))

    def take(self, is_over: Callable[[float, float], bool]) -> list[Window]:
        """Those that are over, the earliest first, in a settled order; they are not kept any more.

        `is_over(end, latest)` says whether a window with that end is.
        """
        over: list[Window] = []
        while self._order and is_over(self._order[0], self.latest_s):
            over += sorted(self._ending.pop(heappop(self._order)), key=repr)
        self._done += [(window, False) for window in over]
        return over

    def keep(self) -> None:
        """What was done since the last commit is committed."""
        self._done.clear()

    def drop(self) -> None:
        """What was done since the last commit is aborted."""
        for window, was_added in reversed(self._done):  # a window may have been taken, and added anew since
            if was_added:
                self._ending.get(window[1][1], set()).discard(window)
            else:
                self._insert(window)
        self.keep()

    def _insert(self, window: Window) -> bool:
        end = window[1][1]
        windows = self._ending.get(end)
        if windows is None:
            windows = self._ending[end] = set()
            heappush(self._order, end)
        if window in windows:
            return False
        windows.add(window)
        return True
