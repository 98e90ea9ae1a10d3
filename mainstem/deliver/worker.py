"""One sink's worker: takes partitions over, delivers their batches in order, waits, pauses, leaves."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from mainstem.codec.message import Message
from mainstem.deliver.outbox import Outbox
from mainstem.deliver.place import Placement
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.deliver.report import Report
from mainstem.errors import (
    FUNCTION_FAILED,
    OFFSETS_GONE,
    Fenced,
    MainstemError,
    Misconfigured,
    Retryable,
    Unreachable,
)
from mainstem.event import Partition
from mainstem.flow.item import Item
from mainstem.flow.retry import RetryPolicy
from mainstem.flow.settlement import Settlement
from mainstem.kafka.consumer import Assigned, Failed, Fetched, GroupConsumer, Revoked
from mainstem.sdk.sink import Claim, ParkedKey, Target

PROBE_S = 10.0
"""How often a paused sink looks whether the person has mended what it needs."""
OUTAGE = RetryPolicy(first_s=0.2, max_s=10.0)
"""For a target that does not answer: it costs no record an attempt, and it is back in use soon after it is back."""
RETAKE_S = 2.0
"""After being fenced: long enough for a zombie to hear from the group that it has lost its partitions."""


NEVER = 1 << 63


class _Batch:
    """What was fetched at once, by partition; its items are made while the batch before it is written."""

    def __init__(self, messages: Sequence[Message], generation: int) -> None:
        self.generation = generation
        self.refusals = 0
        """How often the target has asked to try its records again."""
        self.items: Sequence[Item] = ()
        found: dict[tuple[Any, Any], list[Message]] = defaultdict(list)
        for message in messages:
            found[message.topic(), message.partition()].append(message)
        self.messages = {Partition(*place): group for place, group in found.items()}

    def begin(self, partition: Partition) -> int:
        """The offset of its first record here."""
        return self.messages[partition][0].offset() or 0

    def end(self, partition: Partition) -> int:
        """The offset after its last record here."""
        return (self.messages[partition][-1].offset() or 0) + 1


class Stopped(Exception):
    """The worker was told to stop while it waited."""


class SinkWorker:
    """Runs one sink until it is stopped. The parts that do I/O are given to it."""

    def __init__(
        self,
        plan: SinkPlan,
        consumer: GroupConsumer,
        target: Target,
        preparer: Preparer,
        outbox: Outbox,
        report: Report,
    ) -> None:
        self._plan = plan
        self._consumer = consumer
        self._target = target
        self._preparer = preparer
        self._outbox = outbox
        self._report = report
        self._placement = Placement(plan, target)
        self._claims: dict[Partition, Claim] = {}
        self._generations: dict[Partition, int] = {}
        self._parked: set[ParkedKey] = set()
        self._is_stale = False
        self._stopping = asyncio.Event()
        self._settling: asyncio.Task[None] | None = None
        self._retakes: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Finishes the batches at hand, then leaves the group; a wait is broken off."""
        self._stopping.set()
        self._consumer.leave()

    async def run(self) -> None:
        """Ends after `stop`."""
        try:
            async for happening in self._consumer.happenings():
                await self._handle(happening)
            await self._settled()
        except Stopped:
            pass
        finally:
            if self._settling is not None:
                self._settling.cancel()
                await asyncio.gather(self._settling, return_exceptions=True)
            for task in self._retakes:
                task.cancel()
            self._report.stopped()

    async def _handle(self, happening: object) -> None:
        match happening:
            case Assigned(partitions):
                await self._settled()
                await self._take_over(partitions)
            case Fetched(messages, generation, done):
                batch = _Batch(messages, generation)
                await self._prepare(batch)  # while the batch before it is being written
                await self._settled()
                self._settling = asyncio.create_task(self._deliver(batch, done))
            case Revoked(partitions, _, left):
                await self._settled()
                await self._leave(partitions)
                left()
            case Failed(error):
                self._report.failed(error)

    async def _settled(self) -> None:
        """Waits until the batch under way is settled: nothing overtakes it but the preparing of the next one."""
        if self._settling is not None:
            settling, self._settling = self._settling, None
            await settling

    async def _take_over(self, partitions: Collection[Partition]) -> None:
        if not any(map(self._consumer.holds, partitions)):
            self._report.progress()  # another worker has them all
            return
        try:
            await self._persist(lambda: self._claim(partitions), lambda: any(map(self._consumer.holds, partitions)))
            self._report.progress()
        except Fenced as error:
            await self._fenced(error, partitions)

    async def _claim(self, partitions: Collection[Partition]) -> None:
        # Asked anew at each attempt: what the group has given to another worker meanwhile must not be taken from it.
        wanted = [p for p in partitions if self._consumer.holds(p)]
        await self._consumer.hold(wanted)
        claims = await self._target.take_over(wanted)
        self._parked = set(await self._target.parked(self._plan.topics))
        for claim in claims:
            await self._check_still_there(claim)
        self._outbox.post(wanted)
        generation = await self._consumer.start({claim.partition: claim.next_offset for claim in claims})
        for claim in claims:
            self._claims[claim.partition] = claim
            self._generations[claim.partition] = generation
        self._report.owns(len(self._claims), len(self._parked))

    async def _check_still_there(self, claim: Claim) -> None:
        """Never jumps over records that retention has deleted before they were delivered, or back to the beginning."""
        if claim.next_offset is None:
            return
        low, high = await self._consumer.bounds(claim.partition)
        if not low <= claim.next_offset <= high:
            raise Misconfigured(
                f"{claim.partition.topic}:{claim.partition.number} holds offsets {low} to {high}, "
                f"the next one to deliver is {claim.next_offset}",
                code=OFFSETS_GONE,
            )

    async def _prepare(self, batch: _Batch) -> None:
        async def once() -> None:
            due = [message for p, group in batch.messages.items() if p in self._claims for message in group]
            batch.items = await asyncio.to_thread(self._preparer.prepare, due)

        await self._persist(once, lambda: any(partition in self._claims for partition in batch.messages))

    async def _deliver(self, batch: _Batch, done: Callable[[], None]) -> None:
        async def once() -> None:
            if self._is_stale:
                await self._renew()
            due, ends = self._due(batch)
            if due:
                try:
                    await self._settle(due, ends, gives_up=self._plan.retry.is_exhausted(batch.refusals))
                except Unreachable:
                    raise  # an outage consumes no attempt of any record
                except Retryable:
                    batch.refusals += 1
                    raise

        while True:
            try:
                await self._persist(once, lambda: bool(self._due(batch)[0]))
                self._report.progress()
            except Fenced as error:
                # Only those partitions are gone: the records of the others in this batch are still to be delivered.
                await self._fenced(error, self._claims.keys() & batch.messages.keys())
            else:
                return done()

    def _due(self, batch: _Batch) -> tuple[Sequence[Item], dict[Partition, int]]:
        """What is ours, fetched since we have it, and not delivered yet; and the next offsets after it."""
        starts = {
            partition: claim.next_offset or 0
            for partition, claim in self._claims.items()
            if partition in batch.messages and batch.generation >= self._generations[partition]
        }
        ends = {partition: batch.end(partition) for partition, start in starts.items() if batch.end(partition) > start}
        if all(batch.begin(partition) >= starts.get(partition, NEVER) for partition in batch.messages):
            return batch.items, ends
        return [item for item in batch.items if item.offset >= starts.get(item.partition, NEVER)], ends

    async def _renew(self) -> None:
        """After a broken connection the outcome of the last commit is unknown: the target knows where we are."""
        held = [p for p in self._claims if self._consumer.holds(p)]
        lost = []
        for claim in await self._target.take_over(held):
            if _is_behind(claim, self._claims[claim.partition]):
                lost.append(claim.partition)
            self._claims[claim.partition] = claim
        self._parked = set(await self._target.parked(self._plan.topics))
        self._is_stale = False
        if lost:  # the target was set back, to a backup perhaps: what it has lost is read again
            await self._leave(lost)
            self._consumer.announce(Assigned(lost))

    async def _settle(self, items: Sequence[Item], ends: dict[Partition, int], *, gives_up: bool) -> None:
        began = time.perf_counter()
        settlement = await self._placement.place(items, self._claims, ends, self._parked, gives_up=gives_up)
        for partition, end in ends.items():
            self._claims[partition] = replace(self._claims[partition], next_offset=end)
        self._parked.update(item.scope for item in settlement.parked)
        self._report.settled(settlement, time.perf_counter() - began, len(self._parked))
        await self._after(settlement, ends)

    async def _after(self, settlement: Settlement, ends: dict[Partition, int]) -> None:
        written = {item.partition for item, _ in settlement.letters} | {i.partition for i in settlement.released}
        self._outbox.post(written)
        if settlement.released:
            self._parked = set(await self._target.parked(self._plan.topics))
        await self._consumer.commit(ends)  # for lag displays only: the offsets that count are in the target

    async def _leave(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._claims.pop(partition, None)
            self._generations.pop(partition, None)
        await self._outbox.leave(list(partitions))

    async def _persist(self, attempt: Callable[[], Awaitable[Any]], is_ours: Callable[[], bool]) -> None:
        """Attempts until it works, or is not ours any more. A record is never given up for a target's fault.

        Raises Fenced.
        """
        failures = 0
        while is_ours():
            try:
                await attempt()
            except Fenced:
                raise
            except Retryable as error:
                failures += 1
                self._is_stale = self._is_stale or isinstance(error, Unreachable)
                self._report.waits(error)
                policy = OUTAGE if isinstance(error, Unreachable) else self._plan.retry
                await self._wait(policy.pause(failures, wish_s=error.after_s))
            except MainstemError as error:
                self._is_stale = True
                self._report.pauses(error)
                await self._wait(PROBE_S)
                await self._stop_if_outdated()
            except Exception as error:  # noqa: BLE001 - the boundary to connectors: a bug pauses and keeps the record
                self._is_stale = True
                bug = Misconfigured(f"{self._plan.part} failed with {type(error).__name__}", code=FUNCTION_FAILED)
                self._report.pauses(bug, error)
                await self._wait(PROBE_S)
            else:
                return

    async def _fenced(self, error: Fenced, work: Collection[Partition]) -> None:
        """Leaves what is another's. Should the group say later that it is ours all the same, takes it over anew."""
        gone = [Partition(*p) for p in error.partitions if p in work] or list(work)
        await self._leave(gone)
        self._report.fenced(error)
        task = asyncio.create_task(self._retake(gone))
        self._retakes.add(task)
        task.add_done_callback(self._retakes.discard)

    async def _retake(self, partitions: Sequence[Partition]) -> None:
        await asyncio.sleep(RETAKE_S)
        still = [p for p in partitions if self._consumer.holds(p) and p not in self._claims]
        if still:
            self._consumer.announce(Assigned(still))

    async def _stop_if_outdated(self) -> None:
        """The person may have corrected a secret: it is read by whoever builds the sink anew."""
        if await asyncio.to_thread(self._plan.is_outdated):
            self.stop()
            raise Stopped

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped


def _is_behind(now: Claim, before: Claim) -> bool:
    return before.next_offset is not None and (now.next_offset is None or now.next_offset < before.next_offset)
