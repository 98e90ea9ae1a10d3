"""Reading ahead: a source prepares its next batches while the last one is being committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar

T = TypeVar("T")


class _End:
    """The source has nothing more, or failed with `error`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


async def ahead(items: AsyncIterator[T], depth: int, stop: asyncio.Event) -> AsyncGenerator[T, None]:
    """The same items in order, at most `depth` of them taken early. Ends when `stop` is set, after the item in hand.

    Raises what the iterator raises, after the items before it. Use within `aclosing`: the iterator is closed with it.
    """
    queue: asyncio.Queue[T | _End] = asyncio.Queue(depth)
    reading = asyncio.create_task(_fill(items, queue))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            item = await _first(queue, stopping)
            if item is None:
                return
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopping.cancel()
        reading.cancel()
        await asyncio.wait({reading})


async def _first(queue: asyncio.Queue[T | _End], stopping: asyncio.Task[Any]) -> T | _End | None:
    """The next of the queue; None when there is none yet and it is to stop."""
    getting = asyncio.create_task(queue.get())
    try:
        await asyncio.wait({getting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        getting.cancel()


async def _fill(items: AsyncIterator[T], queue: asyncio.Queue[T | _End]) -> None:
    end = _End()
    try:
        if isinstance(items, AsyncGenerator):
            async with aclosing(items):
                async for item in items:
                    await queue.put(item)
        else:
            async for item in items:
                await queue.put(item)
    except Exception as error:  # noqa: BLE001 - handed to the one who reads, and raised there
        end.error = error
    await queue.put(end)
