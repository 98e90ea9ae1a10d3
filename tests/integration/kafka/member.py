"""A member of a consumer group that collects what it is given, and can be made to be busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from mainstem.codec.message import origin_of
from mainstem.errors import MainstemError
from mainstem.event import Partition
from mainstem.kafka.consumer import Assigned, Failed, Fetched, GroupConsumer, Revoked

DEADLINE_S = 120
LOOK_S = 0.1
"""So often a condition is looked at that another member may fulfil."""


class Member:
    """Commits what it has collected. `start` says where to begin, beside where the group stands."""

    task: asyncio.Task[None]

    def __init__(self, consumer: GroupConsumer, start: Mapping[Partition, int]) -> None:
        self.consumer = consumer
        self.start = start
        self.values: list[int] = []
        self.batches: list[list[int]] = []
        """Their records' sizes in bytes."""
        self.handed = 0
        """Batches that it was given, the one that it is busy with included."""
        self.partitions: set[Partition] = set()
        self.assignments = 0
        self.revocations: list[Revoked] = []
        self.failures: list[MainstemError] = []
        self.changed = asyncio.Event()
        self.free = asyncio.Event()
        """Cleared, it is busy with the batch that it is given next, and with whatever happens after it."""
        self.free.set()

    async def run(self) -> None:
        async for happening in self.consumer.happenings():
            match happening:
                case Assigned(partitions):
                    self.partitions = set(partitions)
                    self.assignments += 1
                    stands = await self.consumer.positions(partitions)
                    await self.consumer.start({p: self.start.get(p, stands[p]) for p in partitions})
                case Fetched():
                    await self._take(happening)
                case Revoked(partitions, _, left):
                    self.partitions -= set(partitions)
                    self.revocations.append(happening)
                    left()
                case Failed(error):
                    self.failures.append(error)
            self.changed.set()

    async def _take(self, fetched: Fetched) -> None:
        self.handed += 1
        self.changed.set()
        await self.free.wait()
        self.values += [int((message.value() or b"").split(b" ")[0]) for message in fetched.messages]
        self.batches.append([len(message) for message in fetched.messages])
        places = [origin_of(m) for m in fetched.messages]
        await self.consumer.commit({Partition(p.topic, p.partition): p.offset + 1 for p in places})
        fetched.done()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until it holds, which may be about other members too. Raises what ended the member meanwhile."""
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                self.changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self.changed.wait()
                if self.task.done():
                    self.task.result()


@asynccontextmanager
async def member(
    config: Mapping[str, Any],
    group: str,
    topic: str,
    *,
    start: Mapping[Partition, int] | None = None,
    **bounds: int,
) -> AsyncIterator[Member]:
    async with GroupConsumer(config, group, [topic], **bounds) as consumer:
        joined = Member(consumer, start or {})
        joined.task = asyncio.create_task(joined.run())
        joined.task.add_done_callback(lambda _: joined.changed.set())
        try:
            yield joined
        finally:
            joined.free.set()
            consumer.leave()
            await joined.task
