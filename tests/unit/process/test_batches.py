from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from mainstem.process.engine.batches import Batches


class Work:
    """Finishes a batch when the gate is open; remembers what was acknowledged."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun: list[list[int]] = []
        self.acknowledged: list[list[int]] = []
        self.news = asyncio.Event()

    async def finish(self, batch: Sequence[int]) -> None:
        self.begun.append(list(batch))
        self.news.set()
        await self.gate.wait()
        if -1 in batch:
            raise RuntimeError("the engine must end")

    def acknowledge(self, batch: Sequence[int]) -> None:
        self.acknowledged.append(list(batch))
        self.news.set()

    async def until(self, *, acknowledged: int = 0, begun: int = 0, items: int = 0) -> None:
        async with asyncio.timeout(5):
            while (
                len(self.acknowledged) < acknowledged
                or len(self.begun) < begun
                or sum(map(len, self.acknowledged)) < items
            ):
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def working(batches: Batches[int]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(batches.work())
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError, RuntimeError):
        await task


async def test_what_arrives_during_a_batch_is_the_next_one() -> None:
    work = Work()
    batches = Batches(work.finish, work.acknowledge, 10)
    work.gate.clear()
    async with working(batches):
        await batches.put(0)
        await work.until(begun=1)
        for n in (1, 2, 3):
            await batches.put(n)
        work.gate.set()
        await work.until(acknowledged=2)
        assert work.acknowledged == [[0], [1, 2, 3]]
        assert batches.is_idle


async def test_a_batch_is_never_larger_than_its_size() -> None:
    work = Work()
    batches = Batches(work.finish, work.acknowledge, 2)
    async with working(batches):
        for n in range(5):
            await batches.put(n)
        await work.until(items=5)
    assert [n for batch in work.acknowledged for n in batch] == [0, 1, 2, 3, 4]
    assert max(map(len, work.acknowledged)) <= 2


async def test_a_batch_that_fails_ends_the_work_unacknowledged() -> None:
    work = Work()
    batches = Batches(work.finish, work.acknowledge, 10)
    async with working(batches) as task:
        await batches.put(-1)
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(task, 5)
    assert work.acknowledged == []


async def test_what_is_abandoned_is_neither_acknowledged_nor_begun_later() -> None:
    work = Work()
    batches = Batches(work.finish, work.acknowledge, 1)
    work.gate.clear()
    async with working(batches):
        await batches.put(0)
        await work.until(begun=1)
        await batches.put(1)
        late = asyncio.create_task(batches.put(2))
        await asyncio.sleep(0)
        assert not late.done()
        batches.abandon()
        await late
        work.gate.set()
        await batches.put(3)
        await work.until(acknowledged=1)
    assert work.begun == [[0], [3]]
    assert work.acknowledged == [[3]]


async def test_the_end_of_the_work_cancels_the_batch() -> None:
    work = Work()
    batches = Batches(work.finish, work.acknowledge, 1)
    work.gate.clear()
    async with working(batches) as task:
        await batches.put(0)
        await work.until(begun=1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    work.gate.set()
    assert work.acknowledged == []
