"""Where a job, a replay or a redrive, can stand, and what can happen to it there. Values only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from mainstem.recover.wishes import Wish


class JobState(StrEnum):
    """Where a replay stands."""

    PLANNED = "planned"
    RUNNING = "running"
    """Or it was: a process that was killed has not said so. Resuming is safe either way, it fences the other."""
    PAUSED = "paused"
    """Somebody wanted it so; it can be resumed."""
    STOPPED = "stopped"
    """It gave up or was broken off, and can be resumed."""
    CANCELLED = "cancelled"
    """For good."""
    DONE = "done"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self in {JobState.CANCELLED, JobState.DONE}


class Happening(StrEnum):
    """What happens to a replay."""

    BEGIN = "begin"
    """A process takes it up: for the first time, or again."""
    PAUSE = "pause"
    CANCEL = "cancel"
    FAIL = "fail"
    """Its process gives up, and lives to say so."""
    FINISH = "finish"


WISHED: Final[Mapping[Wish, Happening]] = {Wish.PAUSE: Happening.PAUSE, Wish.CANCEL: Happening.CANCEL}

_NEXT: Final[Mapping[tuple[JobState, Happening], JobState]] = {
    (JobState.PLANNED, Happening.BEGIN): JobState.RUNNING,
    (JobState.PLANNED, Happening.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, Happening.BEGIN): JobState.RUNNING,
    (JobState.RUNNING, Happening.PAUSE): JobState.PAUSED,
    (JobState.RUNNING, Happening.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, Happening.FAIL): JobState.STOPPED,
    (JobState.RUNNING, Happening.FINISH): JobState.DONE,
    (JobState.PAUSED, Happening.BEGIN): JobState.RUNNING,
    (JobState.PAUSED, Happening.PAUSE): JobState.PAUSED,
    (JobState.PAUSED, Happening.CANCEL): JobState.CANCELLED,
    (JobState.STOPPED, Happening.BEGIN): JobState.RUNNING,
    (JobState.STOPPED, Happening.PAUSE): JobState.STOPPED,  # the reason for which it stopped is worth more
    (JobState.STOPPED, Happening.CANCEL): JobState.CANCELLED,
    (JobState.CANCELLED, Happening.CANCEL): JobState.CANCELLED,
}


def following(state: JobState, happening: Happening) -> JobState | None:
    """The state after it; the same one where nothing changes, None where it cannot happen."""
    return _NEXT.get((state, happening))
