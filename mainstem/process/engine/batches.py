"""What has arrived becomes the next batch; one batch at a time is worked on, and acknowledged when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Batches(Generic[T]):
    """A bounded inbox and the loop that empties it. Knows nothing of Kafka.

    `finish` does the whole work of a batch; `acknowledge` is called, in order, for batches that it came back from. An
    exception of `finish` ends `work` with the batch unacknowledged.
    """

    def __init__(
        self, finish: Callable[[Sequence[T]], Awaitable[None]], acknowledge: Callable[[Sequence[T]], None], size: int
    ) -> None:
        self._finish = finish
        self._acknowledge = acknowledge
        self._size = size
        self._inbox: asyncio.Queue[tuple[int, T]] = asyncio.Queue(maxsize=size)
        self._age = 0
        self._current: asyncio.Future[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return self._inbox.empty() and self._current is None

    async def put(self, item: T) -> None:
        """Waits while the inbox is full."""
        await self._inbox.put((self._age, item))

    def abandon(self) -> None:
        """Cancels the batch under way and forgets what waits, also in a `put` that is still waiting."""
        self._age += 1
        while not self._inbox.empty():
            self._inbox.get_nowait()
        if self._current is not None:
            self._current.cancel()

    async def work(self) -> None:
        """Runs until it is cancelled."""
        while True:
            batch = await self._next()
            if batch:
                await self._do(batch)

    async def _next(self) -> list[T]:
        waiting = [await self._inbox.get()]
        while len(waiting) < self._size and not self._inbox.empty():
            waiting.append(self._inbox.get_nowait())
        return [item for age, item in waiting if age == self._age]

    async def _do(self, batch: Sequence[T]) -> None:
        self._current = current = asyncio.ensure_future(self._finish(batch))
        try:
            await asyncio.wait({current})
        except asyncio.CancelledError:
            current.cancel()
            raise
        finally:
            self._current = None
        if not current.cancelled():
            current.result()
            self._acknowledge(batch)
