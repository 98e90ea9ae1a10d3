"""A plain sink's worker around a scripted sink. Only the group consumer and Kafka's ledger are stand-ins."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from mainstem import Mapped, Partition, Rejected
from mainstem.codec.message import Message
from mainstem.deliver.gate import Gate
from mainstem.deliver.lane_worker import LaneWorker
from mainstem.deliver.prepare import Preparer
from mainstem.deliver.report import Report
from mainstem.deliver.tenure import PlainSink
from mainstem.flow.breaker import Breaker
from mainstem.flow.dead_letter import ORIGIN_HEADERS
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.consumer import GroupConsumer, Revoked
from mainstem.observe.board import Status
from mainstem.observe.latency import Latencies
from mainstem.testing.memory_ledger import MemoryLedger
from mainstem.testing.raw_message import RawMessage
from tests.unit.deliver.sink_world import CODEC, DLQ, REDRIVE, TOPIC, order, plan
from tests.unit.deliver.worker_rig import DEADLINE_S, FollowingConsumer, RecordingBoard

P0, P1 = Partition(TOPIC, 0), Partition(TOPIC, 1)
R0, R1 = Partition(REDRIVE, 0), Partition(REDRIVE, 1)
PROBE_S = 0.01


class ScriptedSink:
    """What is written is `seen`, unless something was prepared for one of the records."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.calls: list[list[int]] = []
        self.refused: set[int] = set()
        self.errors: dict[int, list[Exception]] = defaultdict(list)
        """What writing a number raises, the first first, once each; nothing is written then."""
        self.hangs: dict[int, asyncio.Event] = {}
        """Writing these numbers waits for the event."""
        self.in_flight = 0
        self.most_in_flight = 0

    async def __call__(self, records: Sequence[Mapped]) -> None:
        numbers = [int(row["n"]) for record in records for row in record.rows]
        self.calls.append(numbers)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._write(numbers)
        finally:
            self.in_flight -= 1

    async def _write(self, numbers: Sequence[int]) -> None:
        await asyncio.sleep(0)
        for n in numbers:
            if n in self.hangs:
                await self.hangs[n].wait()
            if self.errors[n]:
                raise self.errors[n].pop(0)
        if refused := self.refused & set(numbers):
            raise Rejected(f"{sorted(refused)} refused")
        self.seen += numbers


class LaneRig:
    """A worker, and what a test wants to do to it or to see of it. Several lives share the ledger and the topics."""

    def __init__(
        self,
        *,
        in_flight: int = 8,
        per_write: int | None = 1,
        batch: int = 1000,
        breaker: Breaker | None = None,
        **changes: Any,
    ) -> None:
        self.sink = ScriptedSink()
        self.ledger = MemoryLedger(DLQ)
        self.board = RecordingBoard()
        self.breaker = breaker or Breaker(RetryPolicy(first_s=0.005, max_s=0.02))
        self.records: dict[Partition, list[Message]] = defaultdict(list)
        retry = RetryPolicy(attempts=3, first_s=0.001, max_s=0.001)
        self.plan = plan(**{"retry": retry, "batch_events": batch, **changes})
        self._in_flight, self._per_write, self._batch = in_flight, per_write, batch
        self.consumer = self._consumer()

    @property
    def status(self) -> Status:
        return self.board.parts()["books.journal"]

    @property
    def committed(self) -> dict[Partition, int]:
        return {partition: at for partition, at in self.ledger.offsets.items() if at}

    def publish(self, *numbers: int, key: str | None = "", partition: Partition = P0) -> list[Message]:
        """Records for a partition, to be fetched when it is started; each has a key of its own unless one is given."""
        log, made = self.records[partition], []
        for n in numbers:
            record = order(n, key=f"k{n}" if key == "" else key)
            at = len(log)
            made.append(RawMessage(TOPIC, partition.number, at, record.key, record.value, record.headers))
            log.append(made[-1])
        return list(made)

    def feed(self, *numbers: int, key: str | None = "", partition: Partition = P0) -> None:
        """Records that come while the worker runs."""
        self.consumer.fetch(self.publish(*numbers, key=key, partition=partition))

    def redrive(self, *ids: str, partition: Partition = R0) -> list[Message]:
        """The letters of these events, as the command copies them."""
        origins = {status.event_id: status.origin for status in self.ledger.latest()}
        letters = {dict(record.headers)["ce_id"].decode(): record for record in self.ledger.letters()}
        made: list[Message] = []
        for event_id in ids:
            topic, number, offset = origins[event_id].rsplit(":", 2)
            place = zip(ORIGIN_HEADERS, (topic.encode(), number.encode(), offset.encode()), strict=True)
            letter = letters[event_id]
            headers = [*[(n, v) for n, v in letter.headers if n not in ORIGIN_HEADERS], *place]
            at = len(self.records[partition])
            made.append(RawMessage(REDRIVE, partition.number, at, letter.key, letter.value, headers))
            self.records[partition].append(made[-1])
        self.consumer.fetch(made)
        return made

    @asynccontextmanager
    async def running(self, *partitions: Partition) -> AsyncIterator[LaneWorker]:
        """One life, with these partitions or P0 and R0 to begin with."""
        self.consumer = self._consumer()
        worker = self._worker()
        task = asyncio.create_task(worker.run())
        self.consumer.assign(*(partitions or (P0, R0)))
        try:
            yield worker
        finally:
            worker.stop()
            async with asyncio.timeout(DEADLINE_S):
                await task

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():  # noqa: ASYNC110 - any condition, not an event
                await asyncio.sleep(0.001)

    def revoke(self, *partitions: Partition, lost: bool = False) -> asyncio.Event:
        """The event is set when the worker has left them."""
        left = asyncio.Event()

        def leave() -> None:
            self.consumer.held -= set(partitions)
            left.set()

        self.consumer._happenings.put_nowait(Revoked(sorted(partitions), lost, leave))
        return left

    def _consumer(self) -> FollowingConsumer:
        consumer = FollowingConsumer(self._batch)
        consumer.records = self.records
        return consumer

    def _worker(self) -> LaneWorker:
        sink = PlainSink(self.sink, Gate(self.breaker, PROBE_S), DLQ, "books.journal", self._in_flight, self._per_write)
        report = Report(self.plan, self.board, Latencies())
        consumer = cast(GroupConsumer, self.consumer)
        preparer = Preparer(self.plan, CODEC.decoder)
        return LaneWorker(self.plan, consumer, sink, self.ledger.member(), preparer, report)
