"""One replay as a value: what was planned, how far it is, how it ended. A record of `_mainstem.replays` holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final

from pydantic import TypeAdapter

from mainstem.errors import PLAN_CHANGED, Refused
from mainstem.event import Origin, Partition
from mainstem.project import names
from mainstem.recover.job_states import Happening, JobState, following
from mainstem.recover.jobs import Jobs
from mainstem.recover.replay.frozen import ReplayPlan

TOPIC: Final = names.internal("replays")
KEPT_REJECTIONS: Final = 200
"""Rejections that a job lists; it counts the others."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A replayed record that the target refused. It stands in its topic still, so it is reported, not dead-lettered."""

    origin: Origin
    code: str
    cause: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one batch."""

    delivered: int
    rejected: Sequence[Rejection]


@dataclass(frozen=True)
class Job:
    """One replay. `positions` are the next offsets by partition; what is before them is settled."""

    id: str
    state: JobState
    plan: ReplayPlan
    at: datetime
    positions: tuple[tuple[str, int, int], ...] = ()
    delivered: int = 0
    rejected: int = 0
    settled_before: int = 0
    """Records that an earlier run had settled in the target before it ended without saying how many of each kind."""
    filtered: int = 0
    """Records of the ranges that are not chosen."""
    rejections: tuple[Rejection, ...] = ()
    """The first of them."""
    error: str | None = None
    has_begun: bool = True
    """False for a plan that was never run. Older records do not say: theirs are kept."""

    @property
    def hash(self) -> str:
        return self.plan.hash

    @property
    def next_offsets(self) -> dict[Partition, int]:
        return {Partition(topic, number): offset for topic, number, offset in self.positions}

    @property
    def settled(self) -> int:
        """Records of the plan that need nothing more."""
        return self.delivered + self.rejected + self.settled_before

    def after(self, meant: int, filtered: int, outcome: Outcome, reached: Mapping[Partition, int]) -> Job:
        """The job after a batch of `meant` records that had this outcome."""
        known = outcome.delivered + len(outcome.rejected)
        return replace(
            self,
            at=datetime.now(UTC),
            positions=_as_rows(self.next_offsets | dict(reached)),
            delivered=self.delivered + outcome.delivered,
            rejected=self.rejected + len(outcome.rejected),
            settled_before=self.settled_before + max(0, meant - known),
            filtered=self.filtered + filtered,
            rejections=(*self.rejections, *outcome.rejected)[:KEPT_REJECTIONS],
        )

    def on(self, happening: Happening, error: str | None = None) -> Job:
        """The job after that; itself where nothing changes. Raises Refused (MS-402) where it cannot happen."""
        state = following(self.state, happening)
        if state is None:
            fix = None if self.state.is_final else "see `mainstem replay status`"
            raise Refused(f"replay {self.id} is {self.state}", code=PLAN_CHANGED, fix=fix)
        if state is self.state and happening is not Happening.BEGIN:
            return self
        has_begun = self.has_begun or happening is Happening.BEGIN
        return replace(self, state=state, error=error, at=datetime.now(UTC), has_begun=has_begun)


_JOB: Final[TypeAdapter[Job]] = TypeAdapter(Job)


def planned(plan: ReplayPlan) -> Job:
    """A new job that has not begun."""
    return Job(token_hex(4), JobState.PLANNED, plan, datetime.now(UTC), has_begun=False)


def _dump(job: Job) -> bytes | None:
    """One that is cancelled before it began leaves nothing behind."""
    is_forgotten = job.state is JobState.CANCELLED and not job.has_begun
    return None if is_forgotten else _JOB.dump_json(job)


JOBS: Final[Jobs[Job]] = Jobs("replay", TOPIC, _dump, _JOB.validate_json, "mainstem replay status")


def _as_rows(positions: Mapping[Partition, int]) -> tuple[tuple[str, int, int], ...]:
    return tuple((partition.topic, partition.number, offset) for partition, offset in sorted(positions.items()))
