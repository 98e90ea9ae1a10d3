"""Which sources a process reads, given the partitions that the consumer group gives it: values and decisions.

Every pulled source is a task, and belongs to one partition of a small topic without records. Whoever owns the partition
reads the source. Its `transactional.id` fences whoever still believes to own it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mainstem.project.names import internal

TASKS: Final = internal("tasks")
PARTITIONS: Final = 12
"""For ever: two processes with another number would disagree. It divides evenly among 2, 3, 4, 6 and 12 processes."""

RETAKE_S: Final = 2.0
"""After being fenced: long enough for a process that was asleep to hear from the group that it owns nothing more."""
LONGEST_RETAKE_S: Final = 60.0
CALM_S: Final = 300.0
"""After so long without another fence the next one counts as the first."""


def partition_of(task: str) -> int:
    """The task's partition: by its name alone.

    What depends on the other tasks too would be another partition in a process of another version, which knows others:
    for as long as both run, two would fence each other, or nobody would have the task.
    """
    return int.from_bytes(hashlib.sha256(task.encode()).digest()[:8]) % PARTITIONS


@dataclass(frozen=True, slots=True)
class _Fences:
    """How often a task was fenced in a row, and when it was last, on the caller's clock."""

    count: int
    at: float


class Duty:
    """The tasks of one integration that this process has to work at. It does what the group says, as it hears it."""

    def __init__(self, tasks: Iterable[str]) -> None:
        self._partitions = {task: partition_of(task) for task in tasks}
        self._held: frozenset[int] = frozenset()
        self._fences: dict[str, _Fences] = {}

    @property
    def own(self) -> frozenset[str]:
        """The tasks that are this process's, as far as it has heard."""
        return frozenset(task for task, partition in self._partitions.items() if partition in self._held)

    @property
    def others(self) -> frozenset[str]:
        """The tasks that are for another process, or for nobody as long as a rebalance lasts."""
        return frozenset(self._partitions) - self.own

    def assigned(self, partitions: Iterable[int]) -> frozenset[str]:
        """These partitions are ours, besides those that we have. Gives the tasks to start."""
        before = self.own
        self._held |= frozenset(partitions)
        return self.own - before

    def revoked(self, partitions: Iterable[int]) -> frozenset[str]:
        """These are ours no more. Gives the tasks to stop."""
        before = self.own
        self._held -= frozenset(partitions)
        return before - self.own

    def fenced(self, task: str, now: float) -> float:
        """Another one has taken a task that is ours by the group's word. Gives the seconds to wait before taking it
        back, if it is still ours then: more each time, so that two that both cannot be told do not fight for ever."""
        before = self._fences.get(task)
        calm = before is None or now - before.at > CALM_S
        count = 1 if before is None or calm else before.count + 1
        self._fences[task] = _Fences(count, now)
        return min(LONGEST_RETAKE_S, RETAKE_S * float(1 << min(count - 1, 10)))
