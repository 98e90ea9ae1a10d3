"""How long it takes after a fault until the work goes on: a clock without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
        self.longest_s = 0.0
        self.longest_of = ""
        """The kind of fault that took longest."""
        self._open: list[_Open] = []
        self._seen: dict[tuple[str, int], int] = {}

    def strike(self, fault: str, at: float) -> None:
        """A fault has struck."""
        self._open.append(_Open(fault, at, dict(self._seen)))

    def see(self, positions: Positions, at: float) -> None:
        """The work is that far now."""
        self._seen.update(positions)
        for one in [one for one in self._open if self._is_over(one)]:
            self._open.remove(one)
            if at - one.at > self.longest_s:
                self.longest_s, self.longest_of = at - one.at, one.fault

    @property
    def is_over(self) -> bool:
        """Whether every fault has been recovered from."""
        return not self._open

    def _is_over(self, one: _Open) -> bool:
        return all(self._seen[place] > before for place, before in one.before.items())
