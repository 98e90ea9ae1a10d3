"""Records of different keys beside each other, those of one key one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence

WAITING = 3
"""For each record that runs so many more may wait, for a place or for another of their key."""


async def run_in_lanes(
    keys: Sequence[Hashable], work: Callable[[int], Awaitable[None]], *, concurrency: int, leaves: Callable[[], bool]
) -> int:
    """Calls `work` with the number of each key, up to `concurrency` at once, and gives how many are done.

    That is all of them, until `leaves` says that no more are to begin: then those that have begun are finished, and
    all that come before one of them, so that what is done has no gap. The first error cancels the others and comes out
    in an ExceptionGroup.
    """
    room = asyncio.Semaphore((1 + WAITING) * concurrency)
    places = asyncio.Semaphore(concurrency)
    begun = 0
    is_left = False

    def may_begin(number: int) -> bool:
        nonlocal is_left
        is_left = is_left or leaves()
        return not is_left or number < begun

    async def one(number: int, before: asyncio.Task[None] | None) -> None:
        nonlocal begun
        if before is not None:
            await asyncio.wait({before})
        async with places:
            if may_begin(number):
                begun = max(begun, number + 1)
                await work(number)
        room.release()

    last: dict[Hashable, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        for number, key in enumerate(keys):
            await room.acquire()
            if not may_begin(number):
                break
            last[key] = group.create_task(one(number, last.get(key)))
    return begun
