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

    async def spend(self, records: int) -> None:
        """Waits until so many records more were due."""
        self._records += records
        if self._records_s is not None:
            await asyncio.sleep(max(0.0, self._began + self._records / self._records_s - monotonic()))
