"""Quantiles of the last latencies, for the live view; the histogram in metrics is for Prometheus."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import ceil

KEPT = 20_000


class Latencies:
    """The last KEPT latencies, in seconds."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: Iterable[float]) -> None:
        self._kept.extend(seconds)

    def quantile(self, q: float) -> float | None:
        """The q-quantile (0..1) of what is kept, nearest rank; None when nothing is."""
        if not self._kept:
            return None
        ordered = sorted(self._kept)
        rank = ceil(round(q * len(ordered), 9))  # rounded: 0.07 * 100 is a little more than 7
        return ordered[max(rank, 1) - 1]
