"""A plain sink's worker: one that has no transaction to write in. Takes partitions over, prepares, leaves.

Kafka is its ledger (deliver/ledger.py), its decisions are in flow/lanes.py, and deliver/tenure.py carries them out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from mainstem.deliver import persistence
from mainstem.deliver.ledger import Ledger
from mainstem.deliver.persistence import Persistence, Stopped
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.deliver.report import Report
from mainstem.deliver.tenure import PlainSink, Tenure
from mainstem.errors import TOPIC_MISSING, Fenced, Misconfigured
from mainstem.event import Partition
from mainstem.failpoint import failpoint
from mainstem.flow.breaker import BreakerState
from mainstem.flow.dead_letter import first_origin
from mainstem.flow.flight import LaneRules
from mainstem.flow.item import Item, OnFailure
from mainstem.flow.lanes import Lanes
from mainstem.kafka.consumer import Assigned, Failed, Fetched, GroupConsumer, Revoked
from mainstem.kafka.gap import first_to_read

NEVER = 1 << 63
WINDOW_BATCHES = 2
"""One is written while the next one is prepared."""


class LaneWorker:
    """Runs one plain sink until it is stopped. The parts that do I/O are given to it."""

    def __init__(
        self,
        plan: SinkPlan,
        consumer: GroupConsumer,
        sink: PlainSink,
        ledger: Ledger,
        preparer: Preparer,
        report: Report,
    ) -> None:
        self._plan = plan
        self._consumer = consumer
        self._sink = sink
        self._ledger = ledger
        self._preparer = preparer
        self._report = report
        self._persistence = Persistence(plan, report)
        self._tenure: Tenure | None = None
        self._driving: asyncio.Task[None] | None = None
        self._since: dict[Partition, int] = {}
        """The generation from which on what is fetched of a partition counts."""
        self._retakes: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Finishes the writes at hand, then leaves the group; a wait is broken off."""
        self._persistence.stop()
        self._consumer.leave()

    async def run(self) -> None:
        """Ends after `stop`. Raises what is a bug of ours."""
        try:
            with self._sink.gate.target.heard_by(self._target_changed):
                async for happening in self._consumer.happenings():
                    await self._handle(happening)
                await self._leave()
        except Stopped:
            pass
        finally:
            await self._abandon()
            for task in self._retakes:
                task.cancel()
            self._report.stopped()

    async def _handle(self, happening: object) -> None:
        match happening:
            case Assigned(partitions):
                await self._leave()
                await self._take_over(partitions)
            case Fetched():
                await self._take_on(happening)
            case Revoked(_, lost, left):
                await (self._abandon() if lost else self._leave())
                left()
            case Failed(error):
                self._report.failed(error)

    async def _take_over(self, partitions: Collection[Partition]) -> None:
        if not any(map(self._consumer.holds, partitions)):
            self._report.progress()  # another worker has them all
            return

        def is_ours() -> bool:
            return any(map(self._consumer.holds, partitions))

        await self._persistence.persist(lambda: self._claim(partitions), is_ours)
        self._report.progress()

    async def _claim(self, partitions: Collection[Partition]) -> None:
        # Asked anew at each attempt: what the group has given to another worker meanwhile must not be taken from it.
        wanted = [p for p in partitions if self._consumer.holds(p)]
        await self._consumer.hold(wanted)
        kept = await self._ledger.restore(wanted)
        failpoint("sink.taken_over")
        starts = {p: first_to_read(p, offset, await self._consumer.bounds(p)) for p, offset in kept.starts.items()}
        lanes = Lanes(self._rules(), starts, kept.waiting)
        generation = await self._consumer.start(starts)
        self._since = dict.fromkeys(starts, generation)
        self._begin(Tenure(self._sink, lanes, self._ledger, self._report, self._persistence, self._regulate))
        self._report.owns(len(starts), lanes.parked_keys)

    def _rules(self) -> LaneRules:
        plan = self._plan
        return LaneRules(
            part=plan.part,
            on_failure=plan.on_failure,
            retry=plan.retry,
            per_write=min(self._sink.records_per_write or plan.batch_events, plan.batch_events),
            window_records=WINDOW_BATCHES * plan.batch_events,
            max_parked_keys=None if plan.on_failure is OnFailure.SKIP else plan.max_parked_keys,
            probe_s=persistence.PROBE_S,
        )

    def _begin(self, tenure: Tenure) -> None:
        self._tenure = tenure
        self._driving = asyncio.create_task(tenure.run())
        self._driving.add_done_callback(self._driven)

    def _driven(self, driving: asyncio.Task[None]) -> None:
        """The tenure has ended by itself: somebody else has the partitions, or nothing can go on here."""
        if driving.cancelled() or driving is not self._driving:
            return
        error = driving.exception()
        if isinstance(error, Fenced):
            self._report.fenced(error)
            retake = asyncio.create_task(self._retake(driving, list(self._since)))
            self._retakes.add(retake)
            retake.add_done_callback(self._retakes.discard)
        else:
            self._consumer.leave()

    async def _retake(self, fenced: asyncio.Task[None], partitions: Sequence[Partition]) -> None:
        """Should the group say later that they are ours all the same, they are taken over anew."""
        if self._driving is fenced:
            await self._abandon()
        await asyncio.sleep(persistence.RETAKE_S)
        still = [p for p in partitions if self._consumer.holds(p)]
        if still and self._tenure is None:
            self._consumer.announce(Assigned(still))

    async def _take_on(self, fetched: Fetched) -> None:
        items: list[Item] = []

        async def once() -> None:
            nonlocal items
            items = await asyncio.to_thread(self._preparer.prepare, fetched.messages)
            self._check_partitions(items)

        await self._persistence.persist(once, lambda: any(map(self._consumer.holds, self._since)))
        if self._tenure is None:
            fetched.done()
        else:
            due = [item for item in items if fetched.generation >= self._since.get(item.partition, NEVER)]
            self._tenure.admit(due, fetched.done)

    def _check_partitions(self, items: Sequence[Item]) -> None:
        """What waits is known to the worker of the partition in which it stood: a redrive has to come back to that."""
        for item in items:
            origin = first_origin(item.message) if item.is_redriven else None
            if origin is not None and Partition(origin.topic, origin.partition) not in self._since:
                raise Misconfigured(
                    f"{self._plan.redrive} gives a record of {origin} to the worker of another partition",
                    code=TOPIC_MISSING,
                    fix=f"give {self._plan.redrive} as many partitions as {origin.topic} has",
                )

    async def _regulate(self, is_capped: bool) -> None:
        """With too many parked keys only redriven records are fetched: they are what can lower the number."""
        live = [partition for partition in self._since if partition.topic != self._plan.redrive]
        tenure = self._tenure
        if is_capped or tenure is None:
            await self._consumer.hold(live)
            return
        generation = await self._consumer.start({p: tenure.next_to_fetch(p) for p in live})
        self._since |= dict.fromkeys(live, generation)

    async def _leave(self) -> None:
        """In peace: what is finished is committed. Raises what has ended the tenure, if that is a bug of ours."""
        tenure = await self._stop_driving()
        if tenure is not None:
            try:
                await tenure.leave()
            except Fenced as error:
                self._report.fenced(error)

    async def _abandon(self) -> None:
        """The partitions are another's, or this worker ends: what is under way is broken off."""
        tenure = await self._stop_driving()
        if tenure is not None:
            await tenure.abandon()

    async def _stop_driving(self) -> Tenure | None:
        tenure, driving = self._tenure, self._driving
        self._tenure = self._driving = None
        if driving is not None:
            driving.cancel()
            [error] = await asyncio.gather(driving, return_exceptions=True)
            if isinstance(error, Exception):
                if tenure is not None:
                    await tenure.abandon()
                if isinstance(error, Fenced):
                    return None
                raise error
        return tenure

    def _target_changed(self, state: BreakerState) -> None:
        self._report.target(self._sink.target, state)
        if self._tenure is not None:
            self._tenure.wake()
