"""One sink's worker: takes partitions over, delivers their batches in order, waits, pauses, leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from mainstem.deliver import persistence
from mainstem.deliver.batch import NEVER, FetchedBatch
from mainstem.deliver.outbox import Outbox
from mainstem.deliver.persistence import Persistence, Stopped
from mainstem.deliver.place import Placement
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.deliver.report import Report, sample
from mainstem.errors import PARKED_TOO_MANY, Fenced, MainstemError, Misconfigured, Retryable, Unreachable
from mainstem.event import Partition
from mainstem.failpoint import failpoint
from mainstem.flow.detour import Detour
from mainstem.flow.item import Item, OnFailure
from mainstem.flow.settlement import Settlement
from mainstem.kafka.consumer import Assigned, Failed, Fetched, GroupConsumer, Revoked
from mainstem.kafka.gap import first_to_read
from mainstem.sdk.sink import Claim, ParkedKey, Target


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
        self._detour = Detour()
        """Batches that go by items, for others could not be written as a whole."""
        self._claims: dict[Partition, Claim] = {}
        self._generations: dict[Partition, int] = {}
        self._beginnings: dict[Partition, int] = {}
        """Where to read from as long as nothing has been settled."""
        self._parked: set[ParkedKey] = set()
        self._is_stale = False
        self._persistence = Persistence(plan, report, self._doubt)
        self._settling: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._too_many: Misconfigured | None = None
        """Why only redriven records are delivered, if so."""
        self._later: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Finishes the batches at hand, then leaves the group; a wait is broken off."""
        self._persistence.stop()
        self._consumer.leave()

    async def run(self) -> None:
        """Ends after `stop`."""
        try:
            async for happening in self._consumer.happenings():
                await self._handle(happening)
            await self._settled()
            await self._told()
        except Stopped:
            pass
        finally:
            unfinished = [task for task in (self._settling, self._telling) if task is not None]
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
            for task in self._later:
                task.cancel()
            self._report.stopped()

    async def _handle(self, happening: object) -> None:
        match happening:
            case Assigned(partitions):
                await self._settled()
                await self._take_over(partitions)
            case Fetched(messages, generation, done):
                batch = FetchedBatch(messages, generation)
                await self._prepare(batch)  # while the batch before it is being written
                await self._settled()
                self._settling = asyncio.create_task(self._deliver(batch, done))
            case Revoked(partitions, _, left):
                await self._settled()
                await self._told()
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
            await self._persistence.persist(
                lambda: self._claim(partitions), lambda: any(map(self._consumer.holds, partitions))
            )
            self._report.progress()
        except Fenced as error:
            await self._fenced(error, partitions)

    async def _claim(self, partitions: Collection[Partition]) -> None:
        # Asked anew at each attempt: what the group has given to another worker meanwhile must not be taken from it.
        wanted = [p for p in partitions if self._consumer.holds(p)]
        await self._consumer.hold(wanted)
        claims = await self._target.take_over(wanted)
        failpoint("sink.taken_over")
        self._parked = set(await self._target.parked(self._plan.topics))
        starts = {c.partition: await self._first_of(c) for c in claims}
        self._outbox.post(wanted)
        generation = await self._consumer.start(starts)
        self._beginnings |= starts
        for claim in claims:
            self._claims[claim.partition] = claim
            self._generations[claim.partition] = generation
        if self._too_many is not None:
            await self._start_live()
        self._report.owns(len(self._claims), len(self._parked))

    async def _first_of(self, claim: Claim) -> int:
        return first_to_read(claim.partition, claim.next_offset, await self._consumer.bounds(claim.partition))

    async def _prepare(self, batch: FetchedBatch) -> None:
        async def once() -> None:
            if self._claims.keys() >= batch.messages.keys() and self._is_plain(batch) and not self._detour.is_taken():
                batch.undecoded = await asyncio.to_thread(self._preparer.undecoded, batch.all())
                if batch.undecoded is not None:
                    await self._placement.stage(batch.undecoded)
            if batch.undecoded is None:
                await self._itemize(batch)

        await self._persistence.persist(once, lambda: any(partition in self._claims for partition in batch.messages))

    async def _itemize(self, batch: FetchedBatch) -> None:
        due = [message for p, group in batch.messages.items() if p in self._claims for message in group]
        batch.items = await asyncio.to_thread(self._preparer.prepare, due)

    def _is_plain(self, batch: FetchedBatch) -> bool:
        """Whether no record of it concerns one that waits, whatever its headers say."""
        return not self._parked or (self._plan.on_failure is not OnFailure.SKIP and batch.is_apart_from(self._parked))

    async def _deliver(self, batch: FetchedBatch, done: Callable[[], None]) -> None:
        async def once() -> None:
            if self._is_stale:
                await self._renew()
            try:
                await self._settle_due(batch)
            except Misconfigured as error:
                if error.code is not PARKED_TOO_MANY:
                    raise
                await self._hold_live(error)
                await self._settle_due(batch)

        while True:
            try:
                await self._persistence.persist(once, lambda: bool(batch.ends(self._starts(batch))))
                self._progress()
            except Fenced as error:
                # Only those partitions are gone: the records of the others in this batch are still to be delivered.
                await self._fenced(error, self._claims.keys() & batch.messages.keys())
            else:
                return done()

    async def _settle_due(self, batch: FetchedBatch) -> None:
        starts = self._starts(batch)
        ends = batch.ends(starts)
        if not ends:
            return
        gives_up = self._plan.retry.is_exhausted(batch.refusals)
        try:
            if not (not gives_up and batch.is_whole(starts) and await self._settle_whole(batch, ends)):
                await self._settle(await self._items(batch, starts), ends, gives_up=gives_up)
        except Unreachable:
            raise  # an outage consumes no attempt of any record
        except Retryable:
            batch.refusals += 1
            raise

    async def _hold_live(self, error: Misconfigured) -> None:
        """There are too many parked keys: only redriven records, which can lower the number, are delivered.

        Live ones are fetched again when it has fallen, and now and then to see whether they would be taken by now.
        """
        live = [partition for partition in self._claims if partition.topic != self._plan.redrive]
        await self._consumer.hold(live)
        self._generations |= dict.fromkeys(live, NEVER)
        self._too_many = error
        self._report.pauses(error)
        self._do_later(self._probe_live(error))

    async def _probe_live(self, error: Misconfigured) -> None:
        await asyncio.sleep(persistence.PROBE_S)
        if self._too_many is error:
            await self._start_live()

    async def _start_live(self) -> None:
        self._too_many = None
        held = [claim for claim in self._claims.values() if self._generations[claim.partition] == NEVER]
        starts = {c.partition: self._beginnings[c.partition] if c.next_offset is None else c.next_offset for c in held}
        generation = await self._consumer.start(starts)
        self._generations |= {partition: generation for partition in starts if partition in self._claims}

    def _progress(self) -> None:
        if self._too_many is None:
            self._report.progress()

    def _do_later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _starts(self, batch: FetchedBatch) -> dict[Partition, int]:
        """Where those of its partitions go on that are ours, and were when it was fetched."""
        return {
            partition: claim.next_offset or 0
            for partition, claim in self._claims.items()
            if partition in batch.messages and batch.generation >= self._generations[partition]
        }

    async def _items(self, batch: FetchedBatch, starts: Mapping[Partition, int]) -> Sequence[Item]:
        """Its records that are due."""
        if batch.items is None:
            await self._itemize(batch)
        items = batch.items or ()
        if batch.is_whole(starts):
            return items
        return [item for item in items if item.offset >= starts.get(item.partition, NEVER)]

    async def _settle_whole(self, batch: FetchedBatch, ends: dict[Partition, int]) -> bool:
        """Writes it without looking at its records. False: nothing is written, its items are to be."""
        if batch.undecoded is None or not self._is_plain(batch):
            return False
        began = time.perf_counter()
        if not await self._placement.place_whole(batch.undecoded, self._claims, ends):
            batch.undecoded = None
            self._detour.failed()
            return False
        self._detour.worked()
        self._advance(ends)
        messages = batch.all()
        self._report.wrote_whole(len(messages), self._preparer.events(sample(messages)), time.perf_counter() - began)
        await self._tell_group(ends)
        return True

    def _advance(self, ends: Mapping[Partition, int]) -> None:
        for partition, end in ends.items():
            self._claims[partition] = replace(self._claims[partition], next_offset=end)

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
        self._advance(ends)
        self._parked.update(item.scope for item in settlement.parked)
        self._report.wrote(settlement.delivered, time.perf_counter() - began)
        self._report.settled(settlement, len(self._parked))
        await self._after(settlement, ends)

    async def _after(self, settlement: Settlement, ends: dict[Partition, int]) -> None:
        written = {item.partition for item, _ in settlement.letters} | {i.partition for i in settlement.released}
        self._outbox.post(written)
        if settlement.released:
            self._parked = set(await self._target.parked(self._plan.topics))
            if self._too_many is not None and len(self._parked) < (self._plan.max_parked_keys or NEVER):
                await self._start_live()
        await self._tell_group(ends)

    async def _tell_group(self, ends: dict[Partition, int]) -> None:
        """For lag displays only, the offsets that count are in the target: the next batch does not wait for it."""
        await self._told()
        self._telling = asyncio.create_task(self._consumer.commit(ends))

    async def _told(self) -> None:
        if self._telling is not None:
            telling, self._telling = self._telling, None
            with suppress(MainstemError):  # the next one says it too, and whatever is wrong is heard of elsewhere
                await telling

    async def _leave(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._claims.pop(partition, None)
            self._generations.pop(partition, None)
        await self._outbox.leave(list(partitions))

    def _doubt(self) -> None:
        """Nobody knows whether the last transaction was committed: the target is asked before the next one."""
        self._is_stale = True

    async def _fenced(self, error: Fenced, work: Collection[Partition]) -> None:
        """Leaves what is another's. Should the group say later that it is ours all the same, takes it over anew."""
        gone = [Partition(*p) for p in error.partitions if p in work] or list(work)
        await self._leave(gone)
        self._report.fenced(error)
        self._do_later(self._retake(gone))

    async def _retake(self, partitions: Sequence[Partition]) -> None:
        await asyncio.sleep(persistence.RETAKE_S)
        still = [p for p in partitions if self._consumer.holds(p) and p not in self._claims]
        if still:
            self._consumer.announce(Assigned(still))


def _is_behind(now: Claim, before: Claim) -> bool:
    return before.next_offset is not None and (now.next_offset is None or now.next_offset < before.next_offset)
