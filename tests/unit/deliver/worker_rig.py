"""A sink's worker around a target in memory. Only the group consumer and the shipping of letters are stand-ins."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from mainstem import Event, MainstemError, Partition, Row, SinkIdentity, Target
from mainstem.codec.message import Message
from mainstem.deliver.guarded_target import GuardedTarget
from mainstem.deliver.outbox import Outbox
from mainstem.deliver.prepare import Preparer
from mainstem.deliver.report import Report
from mainstem.deliver.worker import SinkWorker
from mainstem.flow.breaker import Breaker
from mainstem.flow.dead_letter import ORIGIN_HEADERS
from mainstem.flow.item import OnFailure
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.consumer import Assigned, Fetched, GroupConsumer, Happening, Revoked
from mainstem.observe.board import Board, State, Status
from mainstem.observe.latency import Latencies
from mainstem.testing.memory_target import MemorySink, MemoryStore
from mainstem.testing.raw_message import RawMessage
from tests.unit.deliver.sink_world import CODEC, REDRIVE, TOPIC, as_row, order, plan

P0, P1, R0 = Partition(TOPIC, 0), Partition(TOPIC, 1), Partition(REDRIVE, 0)
IDENTITY = SinkIdentity("books", "journal")
DEADLINE_S = 60


class FollowingConsumer:
    """What happens to one group member. A started partition is fetched from there, in batches, as far as it goes."""

    def __init__(self, batch: int) -> None:
        self.held: set[Partition] = set()
        self.starts: list[Mapping[Partition, int]] = []
        self.holds_asked: list[list[Partition]] = []
        self.committed: dict[Partition, int] = {}
        self.cannot_commit: MainstemError | None = None
        self.bounds_of: dict[Partition, tuple[int, int]] = {}
        self.records: dict[Partition, list[Message]] = defaultdict(list)
        self.done = 0
        self.generation = 0
        self._batch = batch
        self._happenings: asyncio.Queue[Happening | None] = asyncio.Queue()

    async def happenings(self) -> AsyncIterator[Happening]:
        while (happening := await self._happenings.get()) is not None:
            yield happening

    def leave(self) -> None:
        self._happenings.put_nowait(None)

    def announce(self, assigned: Assigned) -> None:
        self._happenings.put_nowait(assigned)

    def holds(self, partition: Partition) -> bool:
        return partition in self.held

    async def hold(self, partitions: Collection[Partition]) -> None:
        self.holds_asked.append(sorted(partitions))

    async def start(self, offsets: Mapping[Partition, int]) -> int:
        self.starts.append(dict(offsets))
        self.generation += 1
        self.fetch([m for p, offset in offsets.items() for m in self.records[p][offset:]])
        return self.generation

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        if self.cannot_commit is not None:
            raise self.cannot_commit
        self.committed |= offsets

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        return self.bounds_of.get(partition, (0, 1 << 40))

    def assign(self, *partitions: Partition) -> None:
        self.held |= set(partitions)
        self.announce(Assigned(sorted(partitions)))

    def fetch(self, messages: Sequence[Message], *, generation: int | None = None) -> None:
        chosen = self.generation if generation is None else generation
        for at in range(0, len(messages), self._batch):
            batch: Any = messages[at : at + self._batch]  # of the client's own class on a real consumer
            self._happenings.put_nowait(Fetched(batch, chosen, self._count))

    def revoke(self, *partitions: Partition) -> asyncio.Event:
        """The event is set when the worker has left them."""
        left = asyncio.Event()
        self._happenings.put_nowait(Revoked(sorted(partitions), False, left.set))
        return left

    def _count(self) -> None:
        self.done += 1


class RecordingBoard(Board):
    """Remembers what was reported, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[State, MainstemError | None]] = []

    def report(self, part: str, state: State, error: Any = None) -> bool:
        self.said.append((state, error))
        return super().report(part, state, error)

    def pauses(self) -> list[MainstemError]:
        """The errors that paused the part."""
        return [error for state, error in self.said if state is State.PAUSED and error is not None]


class Posted:
    """Notes whose letters are to be shipped."""

    def __init__(self) -> None:
        self.partitions: set[Partition] = set()
        self.left: list[Partition] = []

    def post(self, partitions: Collection[Partition]) -> None:
        self.partitions |= set(partitions)

    async def leave(self, partitions: Collection[Partition]) -> None:
        self.left += partitions


class Rig:
    """A worker, and what a test wants to do to it or to see of it."""

    def __init__(
        self,
        batch: int = 1000,
        on_failure: OnFailure = OnFailure.PARK,
        max_parked_keys: int | None = None,
        store: MemoryStore | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        self.refused: set[int] = set()
        self.fails: list[Exception] = []
        """Raised by the mapping, the last first, once each."""
        self.consumer = FollowingConsumer(batch)
        self.outbox = Posted()
        self.board = RecordingBoard()
        retry = RetryPolicy(attempts=3, first_s=0.001, max_s=0.001)
        self._plan = plan(self._map, on_failure=on_failure, retry=retry, max_parked_keys=max_parked_keys)
        self._sink = MemorySink(store=self.store, refuse=lambda row: row["n"] in self.refused)

    @property
    def status(self) -> Status:
        return self.board.parts()["books.journal"]

    @property
    def delivered(self) -> list[int]:
        return [row["n"] for row in self.store.rows]

    def publish(self, *numbers: int, partition: Partition = P0) -> list[Message]:
        """Records for a partition, to be fetched when it is started (again)."""
        log = self.consumer.records[partition]
        made: list[Message] = []
        for n in numbers:
            record = order(n, key=f"k{n}")
            at = len(log) + len(made)
            made.append(RawMessage(TOPIC, partition.number, at, record.key, record.value, record.headers))
        log.extend(made)
        return made

    def redrive(self, *numbers: int) -> list[Message]:
        """These records of P0 come again, to be fetched when R0 is started (again)."""
        log = self.consumer.records[R0]
        for n in numbers:
            record = order(n, key=f"k{n}")
            offset = next(m.offset() for m in self.consumer.records[P0] if m.key() == record.key)
            origin = (TOPIC.encode(), b"0", str(offset).encode())
            headers = [*record.headers, *zip(ORIGIN_HEADERS, origin, strict=True)]
            log.append(RawMessage(R0.topic, 0, len(log), record.key, record.value, headers))
        return log[-len(numbers) :]

    @asynccontextmanager
    async def running(self, breaker: Breaker | None = None) -> AsyncIterator[SinkWorker]:
        async with self._sink.open(IDENTITY) as target:
            worker = self.worker(target if breaker is None else GuardedTarget(target, "the store", breaker))
            task = asyncio.create_task(worker.run())
            try:
                yield worker
            finally:
                worker.stop()
                async with asyncio.timeout(DEADLINE_S):
                    await task

    def worker(self, target: Target) -> SinkWorker:
        report = Report(self._plan, self.board, Latencies())
        consumer, outbox = cast(GroupConsumer, self.consumer), cast(Outbox, self.outbox)
        return SinkWorker(self._plan, consumer, target, Preparer(self._plan, CODEC.decoder), outbox, report)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():  # noqa: ASYNC110 - any condition, not an event
                await asyncio.sleep(0.001)

    async def taken_over_by_another(self, *partitions: Partition) -> None:
        async with self._sink.open(IDENTITY) as target:
            await target.take_over(partitions)

    def _map(self, event: Event) -> Sequence[Row]:
        if self.fails:
            raise self.fails.pop()
        return as_row(event)
