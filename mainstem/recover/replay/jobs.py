"""Replays as records of the compacted topic `_mainstem.replays`: what was planned, how far it is, how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from secrets import token_hex
from typing import Any, Final

from pydantic import TypeAdapter

from mainstem.errors import Misconfigured
from mainstem.event import Origin, Partition
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.project import names
from mainstem.recover.replay.ranges import ReplayPlan

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


class JobState(StrEnum):
    """Where a replay stands."""

    PLANNED = "planned"
    RUNNING = "running"
    """Or it was: a process that was killed has not said so. Resuming is safe either way, it fences the other."""
    STOPPED = "stopped"
    """It gave up or was interrupted, and can be resumed."""
    DONE = "done"


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
    """Records of the ranges whose event time is not meant."""
    rejections: tuple[Rejection, ...] = ()
    """The first of them."""
    error: str | None = None

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

    def now(self, state: JobState, error: str | None = None) -> Job:
        """The job in another state."""
        return replace(self, state=state, error=error, at=datetime.now(UTC))


_JOB: Final[TypeAdapter[Job]] = TypeAdapter(Job)


def planned(plan: ReplayPlan) -> Job:
    """A new job that has not begun."""
    return Job(token_hex(4), JobState.PLANNED, plan, datetime.now(UTC))


def record_of(job: Job) -> Record:
    """The record that says where the job stands."""
    return Record(TOPIC, job.id.encode(), _JOB.dump_json(job))


def read_job(value: bytes) -> Job:
    """The job that a record of the topic holds."""
    return _JOB.validate_json(value)


def read_jobs(config: Mapping[str, Any]) -> list[Job]:
    """Every replay that was ever planned, the latest change first; blocks."""
    found: dict[str, Job] = {}
    with reading(config) as reader:
        for messages in reader.read(reader.whole([TOPIC])):
            for message in messages:
                value = message.value()
                if value is not None:
                    job = read_job(value)
                    found[job.id] = job
    return sorted(found.values(), key=lambda job: job.at, reverse=True)


def find_job(config: Mapping[str, Any], job_id: str) -> Job:
    """The replay of that id; blocks. Raises Misconfigured when there is none."""
    for job in read_jobs(config):
        if job.id == job_id:
            return job
    raise Misconfigured(f"there is no replay {job_id}", fix="see `mainstem replay status`")


def _as_rows(positions: Mapping[Partition, int]) -> tuple[tuple[str, int, int], ...]:
    return tuple((partition.topic, partition.number, offset) for partition, offset in sorted(positions.items()))
