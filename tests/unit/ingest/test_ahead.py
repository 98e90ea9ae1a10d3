from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from mainstem.ingest.ahead import ahead


class Counting:
    """Gives 0, 1, 2, ... and notes how far it was read and whether it was closed."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.given = 0
        self.closed = False

    async def items(self) -> AsyncIterator[int]:
        try:
            for number in range(self.count):
                self.given += 1
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_items_come_in_order_and_end() -> None:
    source = Counting(10)

    assert [item async for item in ahead(source.items(), 2, asyncio.Event())] == list(range(10))
    assert source.closed


async def test_no_more_than_depth_is_taken_early() -> None:
    source = Counting(100)
    async with aclosing(ahead(source.items(), 2, asyncio.Event())) as items:
        assert await anext(items) == 0
        await settle()
        assert source.given <= 1 + 2 + 1  # in hand, in the queue, and one that waits for room

    assert source.closed


async def test_an_error_comes_after_the_items_before_it() -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match="broken"):
        async for item in ahead(Counting(3, ValueError("broken")).items(), 2, asyncio.Event()):
            seen += [item]

    assert seen == [0, 1, 2]


async def test_a_stop_ends_it_after_the_item_in_hand() -> None:
    stop = asyncio.Event()
    source = Counting(100)
    seen = []
    async for item in ahead(source.items(), 2, stop):
        seen.append(item)
        stop.set()

    assert seen == [0]
    assert source.closed


async def test_a_stop_ends_the_wait_for_a_source_that_says_nothing() -> None:
    stop = asyncio.Event()

    async def silent() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    async def read() -> list[int]:
        return [item async for item in ahead(silent(), 2, stop)]

    reading = asyncio.create_task(read())
    await settle()
    stop.set()

    assert await asyncio.wait_for(reading, 60) == []


async def test_being_cancelled_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()

    async def silent() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    async def read() -> list[int]:
        return [item async for item in ahead(silent(), 2, asyncio.Event())]

    reading = asyncio.create_task(read())
    await settle()
    reading.cancel()
    await asyncio.wait({reading})
    await settle()

    assert asyncio.all_tasks() == before
