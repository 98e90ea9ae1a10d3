"""Carries a replay out: reads its ranges, hands them to the target, notes how far it is after each batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Any, Final, Protocol

from mainstem.codec.message import Message, origin_of
from mainstem.errors import OFFSETS_GONE, PLAN_CHANGED, Fenced, MainstemError, Refused, Retryable
from mainstem.event import Partition
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import Ranges, reading
from mainstem.kafka.topics import Admin
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.recover.pace import Pace
from mainstem.recover.replay.jobs import Job, JobState, Outcome, find_job, record_of
from mainstem.recover.replay.planning import event_time
from mainstem.recover.replay.ranges import remaining

BATCH_RECORDS: Final = 5000
DEFAULT_RETRY: Final = RetryPolicy()


class Deliver(Protocol):
    """Delivers a batch into the one target, under an identity that is the replay's own.

    Batches come in order within a partition. After a crash the last one may come again: what is settled already is
    then neither delivered nor rejected anew. Raises Retryable, Misconfigured or Fenced when all of it has to wait.
    """

    async def __call__(self, messages: Sequence[Message]) -> Outcome: ...


class Bounded(Protocol):
    """Tells where a partition begins and ends; a Reader does."""

    def bounds(self, partition: Partition) -> tuple[int, int]: ...


async def keep(config: Mapping[str, Any], job: Job) -> None:
    """Writes the job down, so that it can be found by its id or its plan's hash."""
    async with DurableProducer(config) as producer:
        await producer.send([record_of(job)])


async def run(
    config: Mapping[str, Any],
    job: Job,
    deliver: Deliver,
    *,
    retry: RetryPolicy = DEFAULT_RETRY,
    batch_records: int = BATCH_RECORDS,
    on_progress: Callable[[Job], object] = lambda job: None,
) -> Job:
    """Runs the job to its end, or on from where it stopped. It commits no consumer group's offsets.

    Raises Refused (MS-402) when it is done already or Kafka no longer holds what was planned, Fenced when somebody else
    runs the same replay, and whatever `deliver` raises once the retries are used up: it can be resumed then.
    """
    async with TransactionalProducer(config, f"mainstem.replay.{job.id}") as producer:
        job = await asyncio.to_thread(_take_up, config, job)
        replay = _Replay(config, producer, deliver, retry, batch_records)
        replay.on_progress = on_progress
        try:
            return await replay.run(job)
        except Fenced:
            raise
        except (MainstemError, asyncio.CancelledError) as error:
            said = str(error) if isinstance(error, MainstemError) else "interrupted"
            with suppress(MainstemError):  # the reason for stopping is the one to tell
                await producer.commit([record_of(replay.job.now(JobState.STOPPED, said))])
            raise


class _Replay:
    """One run. `job` is as far as has been written down."""

    job: Job

    def __init__(
        self,
        config: Mapping[str, Any],
        producer: TransactionalProducer,
        deliver: Deliver,
        retry: RetryPolicy,
        batch_records: int,
    ) -> None:
        self._config = config
        self._producer = producer
        self._deliver = deliver
        self._retry = retry
        self._batch_records = batch_records
        self.on_progress: Callable[[Job], object] = lambda job: None

    async def run(self, job: Job) -> Job:
        self.job = job
        await self._note(job.now(JobState.RUNNING))
        pace = Pace(job.plan.records_s)
        left = remaining(job.plan.ranges, job.next_offsets)
        async with aclosing(_batches(self._config, left, pace.batch(self._batch_records))) as batches:
            async for messages in batches:
                await self._settle(messages)
                await pace.spend(len(messages))
        ends = {part.of: part.end for part in job.plan.ranges}
        await self._note(self.job.after(0, 0, Outcome(0, ()), ends).now(JobState.DONE))
        return self.job

    async def _settle(self, messages: Sequence[Message]) -> None:
        extent = self.job.plan.extent
        meant = [m for m in messages if extent.has_event(event_time(m))] if extent.by_event_time else list(messages)
        outcome = await self._persist(meant) if meant else Outcome(0, ())
        reached = {}
        for message in messages:
            topic, partition, offset = origin_of(message)
            reached[Partition(topic, partition)] = offset + 1
        await self._note(self.job.after(len(meant), len(messages) - len(meant), outcome, reached))

    async def _persist(self, messages: Sequence[Message]) -> Outcome:
        failures = 0
        while True:
            try:
                return await self._deliver(messages)
            except Retryable as error:
                failures += 1
                if self._retry.is_exhausted(failures):
                    raise
                await asyncio.sleep(self._retry.pause(failures, wish_s=error.after_s))

    async def _note(self, job: Job) -> None:
        await self._producer.commit([record_of(job)])
        self.job = job
        self.on_progress(job)


def _take_up(config: Mapping[str, Any], job: Job) -> Job:
    """The job as it was last written down: read after its former runner is fenced, so that it cannot move any more."""
    stored = find_job(config, job.id)
    if stored.state is JobState.DONE:
        raise Refused(f"replay {job.id} is done", code=PLAN_CHANGED)
    there = Admin(config).topic_ids(stored.plan.topic_ids)
    for topic, planned_id in stored.plan.topic_ids.items():
        if there.get(topic) != planned_id:
            raise Refused(f"{topic} was deleted since the plan was made", code=PLAN_CHANGED)
    with reading(config) as reader:
        for partition, (start, _) in remaining(stored.plan.ranges, stored.next_offsets).items():
            low, _ = reader.bounds(partition)
            if low > start:
                raise Refused(
                    f"{partition.topic}:{partition.number} no longer holds offsets {start} to {low - 1} of the plan",
                    code=PLAN_CHANGED,
                )
    return stored


async def _batches(config: Mapping[str, Any], left: Ranges, size: int) -> AsyncGenerator[list[Message], None]:
    """What is left, batch by batch. Raises Refused when retention takes records away before they are read."""
    loop = asyncio.get_running_loop()
    expected = {partition: start for partition, (start, _) in left.items()}
    with (
        reading(config) as reader,
        reading(config) as watcher,  # the reader's own connection answers only when its fetch has ended
        ThreadPoolExecutor(1, thread_name_prefix="replay") as thread,
    ):
        source = reader.read(left, batch=size)
        while (messages := await loop.run_in_executor(thread, next, source, None)) is not None:
            await loop.run_in_executor(thread, check_gaps, watcher, messages, expected)
            yield list(messages)


def check_gaps(watcher: Bounded, messages: Sequence[Message], expected: dict[Partition, int]) -> None:
    """A gap between offsets is a transaction's marker, compaction, or records that retention has just deleted: in the
    last case the partition begins behind it."""
    gaps: dict[Partition, int] = {}
    for message in messages:
        topic, number, offset = origin_of(message)
        partition = Partition(topic, number)
        if offset > expected[partition]:
            gaps.setdefault(partition, expected[partition])
        expected[partition] = offset + 1
    for partition, first in gaps.items():
        low, _ = watcher.bounds(partition)
        if low > first:
            gone = f"{first} to {low - 1}"
            name = f"{partition.topic}:{partition.number}"
            raise Refused(f"{name} lost offsets {gone} while it was replayed", code=OFFSETS_GONE)
