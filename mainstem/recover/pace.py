"""Keeps recovery from taking the whole of a target that others use too."""

from __future__ import annotations

import asyncio
from time import monotonic


class Pace:
    """At most `records_s` records a second on average since the start; None is as fast as it goes."""

    def __init__(self, records_s: float | None) -> None:
        self._records_s = records_s
        self._began = monotonic()
        self._records = 0

    def batch(self, most: int) -> int:
        """How many records to take at a time: no more than a second's worth."""
        return most if self._records_s is None else max(1, min(most, int(self._records_s)))

    def due_s(self, records: int) -> float:
        """Takes so many records more into account; how many seconds to wait until they were due."""
        self._records += records
        if self._records_s is None:
            return 0.0
        return max(0.0, self._began + self._records / self._records_s - monotonic())

    async def spend(self, records: int) -> None:
        """Waits until so many records more were due."""
        await asyncio.sleep(self.due_s(records))
