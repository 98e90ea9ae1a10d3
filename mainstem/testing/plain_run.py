"""A plain sink's worker without Kafka: the real decisions and the real driving, over a ledger in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from mainstem.deliver.gate import Gate
from mainstem.deliver.persistence import Persistence
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.report import Report
from mainstem.deliver.tenure import PlainSink, Tenure
from mainstem.event import Partition
from mainstem.flow.breaker import Breaker
from mainstem.flow.flight import LaneRules
from mainstem.flow.item import Item, OnFailure
from mainstem.flow.lanes import Lanes
from mainstem.flow.retry import RetryPolicy
from mainstem.observe.board import Board
from mainstem.observe.latency import Latencies
from mainstem.project.mapping import as_it_is
from mainstem.sdk.sink import Mapped, Sink
from mainstem.testing.memory_ledger import MemoryLedger
from mainstem.testing.raw_message import RawMessage

TOPIC, DLQ = "contract.record.v1", "contract.sink.dlq"
P0 = Partition(TOPIC, 0)
DEADLINE_S = 30.0
HASTY = RetryPolicy(attempts=5, first_s=0.01, max_s=0.05)
WINDOW_RECORDS = 100


class PlainRun:
    """One worker's life. `give` it records; they begin at the topic's first, whatever a life before has done."""

    def __init__(self, tenure: Tenure, lanes: Lanes, ledger: MemoryLedger) -> None:
        self._tenure = tenure
        self._lanes = lanes
        self._ledger = ledger

    def give(self, records: Sequence[Mapped]) -> None:
        """What the topic has, in order."""
        self._tenure.admit([_item(at, record) for at, record in enumerate(records)], lambda: None)

    async def settled(self, count: int) -> None:
        """Waits until the first records, so many, are done and durable."""
        await self.until(lambda: self._ledger.offsets.get(P0) == count)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Raises TimeoutError when it does not come to that."""
        async with asyncio.timeout(DEADLINE_S):
            while not holds():  # noqa: ASYNC110 - any condition, not an event
                await asyncio.sleep(0.001)

    @property
    def finished(self) -> int:
        """Records that have come to their end, durable or not."""
        return self._lanes.finished


@asynccontextmanager
async def running(sink: Sink, ledger: MemoryLedger) -> AsyncIterator[PlainRun]:
    """A worker's life, from its take-over to its crash: what is not durable at the end of the block is lost."""
    plan = SinkPlan("contract", "sink", [TOPIC], "contract", DLQ, None, as_it_is, retry=HASTY)
    report = Report(plan, Board(), Latencies())
    member = ledger.member()
    kept = await member.restore([P0])
    rules = LaneRules(
        plan.part, retry=HASTY, per_write=sink.records_per_write or WINDOW_RECORDS, window_records=WINDOW_RECORDS
    )
    lanes = Lanes(rules, {P0: kept.starts[P0] or 0}, kept.waiting)
    async with sink.open() as write:
        plain = PlainSink(write, Gate(Breaker(HASTY), 0.05), DLQ, plan.part, sink.in_flight)
        tenure = Tenure(plain, lanes, member, report, Persistence(plan, report), _no_cap)
        driving = asyncio.create_task(tenure.run())
        try:
            yield PlainRun(tenure, lanes, ledger)
        finally:
            driving.cancel()
            await asyncio.gather(driving, return_exceptions=True)
            await tenure.abandon()


async def _no_cap(_is_capped: bool) -> None:
    """There is no end to the keys that may be parked here."""


def _item(offset: int, record: Mapped) -> Item:
    key = None if record.event.key is None else record.event.key.encode()
    headers = [("ce_id", record.event.id.encode())]
    return Item(RawMessage(TOPIC, 0, offset, key, b"", headers), P0, record.event, record, OnFailure.PARK)
