"""How long it takes after a fault until the work goes on: a clock without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

Positions = Mapping[tuple[str, int], int]
"""How far the work is, by sink (or topic) and partition: next offsets, committed."""


@dataclass(frozen=True, slots=True)
class _Open:
    fault: str
    at: float
    before: Positions


class Recovery:
    """A fault is recovered from when the work has gone on everywhere: in every partition, further than before it.

    So there must be something to do in every partition all the time. Times are in seconds of any one clock.
    """

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self.over: list[tuple[float, str]] = []
        """How long each took, and what it was, in the order in which they were over."""
        self._seen: dict[tuple[str, int], int] = {}

    def strike(self, fault: str, at: float) -> None:
        """A fault has struck."""
        self._open.append(_Open(fault, at, dict(self._seen)))

    def see(self, positions: Positions, at: float) -> None:
        """The work is that far now."""
        self._seen.update(positions)
        for one in [one for one in self._open if self._is_over(one)]:
            self._open.remove(one)
            self.over.append((at - one.at, one.fault))

    @property
    def longest_s(self) -> float:
        return max(self.over, default=(0.0, ""))[0]

    @property
    def median_s(self) -> float:
        return median([seconds for seconds, _ in self.over] or [0.0])

    @property
    def longest_of(self) -> str:
        """The kind of fault that took longest."""
        return max(self.over, default=(0.0, ""))[1]

    @property
    def is_over(self) -> bool:
        """Whether every fault has been recovered from."""
        return not self._open

    def _is_over(self, one: _Open) -> bool:
        return all(self._seen[place] > before for place, before in one.before.items())
