"""How far a worker is: what a readiness probe and an operator ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from faust.types import TP


@dataclass(frozen=True, slots=True)
class Progress:
    """At one moment."""

    is_assigned: bool = False
    """The group has said which partitions are its; a spare worker has none."""
    partitions: int = 0
    is_restored: bool = False
    """Its tables are whole, and its events run."""
    commit_age_s: float = 0.0
    """For how long events have been under way without a commit, where they are so for longest."""
    patience_s: float = 0.0
    """An older one is not ready."""
    behind: Mapping[TP, int] = field(default_factory=dict)
    """Offsets that are not committed, as of some seconds ago."""
    restoring: Mapping[TP, int] = field(default_factory=dict)
    """Offsets left to read of each changelog, as of a second ago."""

    @property
    def is_ready(self) -> bool:
        """It does its part. A worker that only has much to do is ready."""
        return self.is_assigned and self.is_restored and self.commit_age_s < self.patience_s
