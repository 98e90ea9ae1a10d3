"""Carries a replay out: reads its ranges, hands what is chosen to the target, notes how far it is after each batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

from mainstem.codec.message import Message
from mainstem.errors import PLAN_CHANGED, Refused, Retryable, Unreachable
from mainstem.failpoint import failpoint
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.reader import Ranges, reading
from mainstem.kafka.topics import Admin
from mainstem.recover.held import HeldJob
from mainstem.recover.job_states import WISHED, Happening
from mainstem.recover.pace import Pace
from mainstem.recover.replay.choice import Chooser, Sight, fingerprints
from mainstem.recover.replay.jobs import JOBS, Job, Outcome
from mainstem.recover.replay.ranges import remaining
from mainstem.recover.replay.reading import Piece, batches, pieces
from mainstem.recover.wishes import Wish, Wishes

BATCH_RECORDS: Final = 5000
DEFAULT_RETRY: Final = RetryPolicy()
NOTE_EVERY_S: Final = 1.0
"""Progress over records that are not chosen is worth no transaction for each batch."""

T = TypeVar("T")
Read = Callable[[Ranges, int], AsyncGenerator[list[Message], None]]


class Deliver(Protocol):
    """Delivers a batch into the one target, under an identity that is the replay's own.

    Batches come in order within a partition. After a crash the last one may come again: what is settled already is
    then neither delivered nor rejected anew. Raises Retryable, Misconfigured or Fenced when all of it has to wait.
    """

    async def __call__(self, messages: Sequence[Message]) -> Outcome: ...


async def _nothing(job: Job) -> None:
    """For a target that has nothing to do then."""


@dataclass(frozen=True)
class Into:
    """The one target of a replay."""

    deliver: Deliver
    begin: Callable[[Job], Awaitable[None]] = _nothing
    """Called once, before the first batch, with the job as it stands: a file is cut to what is settled."""
    finish: Callable[[Job], Awaitable[None]] = _nothing
    """Called when everything is delivered, before the job is done. After a crash it may be called again."""


@dataclass(frozen=True)
class Terms:
    """How a run goes about it."""

    sight: Sight | None = None
    """Needed where the plan has predicates."""
    retry: RetryPolicy = DEFAULT_RETRY
    batch_records: int = BATCH_RECORDS
    on_progress: Callable[[Job], object] = lambda job: None


DEFAULT_TERMS: Final = Terms()


class _Wished(Exception):
    """A wish was expressed while the target was waited for."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish)
        self.wish = wish


async def run(
    config: Mapping[str, Any],
    job: Job,
    into: Into,
    wishes: Wishes,
    terms: Terms = DEFAULT_TERMS,
) -> Job:
    """Runs the job to its end or to a wish, or on from where it stopped. It commits no consumer group's offsets.

    Raises Refused (MS-402) when it is over already or Kafka no longer holds what was planned, Fenced when somebody else
    has taken the replay over, and whatever the target raises once the retries are used up: it can be resumed then.
    """
    async with JOBS.hold(config, job.id) as held:
        replay = _Replay(partial(batches, config), held, into, wishes)
        replay.chooser = await asyncio.to_thread(_take_up, config, held.job, terms.sight)
        replay.terms = terms
        return await replay.run()


class _Replay:
    """One run."""

    chooser: Chooser
    terms: Terms

    def __init__(self, read: Read, held: HeldJob[Job], into: Into, wishes: Wishes) -> None:
        self._read = read
        self._held = held
        self._into = into
        self._wishes = wishes
        self._noted_at = 0.0

    @property
    def job(self) -> Job:
        """What is to be written down next, or has been."""
        return self._held.job

    async def run(self) -> Job:
        job = self.job
        await self._note(job.on(Happening.BEGIN))
        await self._into.begin(self.job)
        wish = await self._deliver_all()
        if wish is not None:
            await self._note(self.job.on(WISHED[wish]))
            return self.job
        ends = {part.of: part.end for part in job.plan.ranges}
        await self._note(self.job.after(0, 0, Outcome(0, ()), ends))
        await self._into.finish(self.job)
        await self._note(self.job.on(Happening.FINISH))
        return self.job

    async def _deliver_all(self) -> Wish | None:
        """What was wished meanwhile, or None when all is delivered."""
        pace = Pace(self.job.plan.records_s)
        size = pace.batch(self.terms.batch_records)
        left = remaining(self.job.plan.ranges, self.job.next_offsets)
        try:
            async with aclosing(self._read(left, self.terms.batch_records)) as read:
                async for messages in read:
                    chosen = await self._persist(partial(asyncio.to_thread, self._choose, messages))
                    for piece in pieces(messages, chosen, size):
                        await self._settle(piece)
                        wish = await self._wishes.within(self.job.id, pace.due_s(len(piece.chosen)))
                        if wish is not None:
                            return wish
        except _Wished as said:
            return said.wish
        return None

    def _choose(self, messages: Sequence[Message]) -> list[bool]:
        return [self.chooser.takes(message) for message in messages]

    async def _settle(self, piece: Piece) -> None:
        outcome = Outcome(0, ())
        if piece.chosen:
            outcome = await self._persist(lambda: self._into.deliver(piece.chosen))
        job = self.job.after(len(piece.chosen), piece.left_out, outcome, piece.reached)
        if piece.chosen or monotonic() - self._noted_at > NOTE_EVERY_S:
            failpoint("replay.before_commit")
            await self._note(job)
            failpoint("replay.after_commit")
        else:
            self._held.job = job

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await attempt()
            except Retryable as error:
                failures += 1
                if self.terms.retry.is_exhausted(failures):
                    raise
                await self._wait(self.terms.retry.pause(failures, wish_s=error.after_s))
                if isinstance(error, Unreachable):
                    # The target is going to be taken over anew: only by whom Kafka still takes for the owner.
                    await self._note(self.job)

    async def _wait(self, seconds: float) -> None:
        wish = await self._wishes.within(self.job.id, seconds)
        if wish is not None:
            raise _Wished(wish)

    async def _note(self, job: Job) -> None:
        await self._held.write(job)
        self._noted_at = monotonic()
        self.terms.on_progress(job)


def _take_up(config: Mapping[str, Any], stored: Job, sight: Sight | None) -> Chooser:
    """What chooses its records. Raises Refused where the job is over, or not what it was when it was planned."""
    stored.on(Happening.BEGIN)
    plan = stored.plan
    there = Admin(config).topic_ids(plan.topic_ids)
    for topic, planned_id in plan.topic_ids.items():
        if there.get(topic) != planned_id:
            raise Refused(f"{topic} was deleted since the plan was made", code=PLAN_CHANGED)
    topics = sorted(plan.schemas)
    for topic, print_ in fingerprints(plan.choice, topics, sight).items():
        if plan.schemas[topic] != print_:
            raise Refused(f"the schema of {topic} was changed since the plan was made", code=PLAN_CHANGED)
    _check_still_held(config, stored)
    return Chooser(plan.extent, plan.choice, topics, sight)


def _check_still_held(config: Mapping[str, Any], job: Job) -> None:
    with reading(config) as reader:
        for partition, (start, _) in remaining(job.plan.ranges, job.next_offsets).items():
            low, _ = reader.bounds(partition)
            if low > start:
                raise Refused(
                    f"{partition.topic}:{partition.number} no longer holds offsets {start} to {low - 1} of the plan",
                    code=PLAN_CHANGED,
                )
