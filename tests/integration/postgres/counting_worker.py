"""The worker that test_kill kills: appends the numbers of its partition, one row per offset, and tells where it is."""

from __future__ import annotations

import asyncio
import sys

from connectors.postgres import PostgresSink
from mainstem import Advance, Event, Mapped, Partition, Progress, Secret, SinkIdentity, Target
from mainstem.errors import Fenced, Retryable

NUMBERS = Partition("numbers.v1", 0)
FENCED, LOST = 3, 4


async def count(target: Target, end: int, step: int) -> None:
    [claim] = await target.take_over([NUMBERS])
    reached = claim.next_offset
    while (start := reached or 0) < end:
        stop = min(start + step, end)
        async with target.transaction() as transaction:
            await transaction.write([Mapped(Event(id=str(n)), [{"n": n}]) for n in range(start, stop)])
            await transaction.commit(Progress([Advance(claim, reached, stop)]))
        reached = stop
        print(reached, flush=True)  # noqa: T201 - the test reads it


async def main(dsn: str, end: int, step: int) -> int:
    sink = PostgresSink(dsn=Secret(dsn), table="numbers", idle_timeout_s=1, lock_timeout_s=3)
    async with sink.open(SinkIdentity("counting", "numbers")) as target:
        try:
            await count(target, end, step)
        except Fenced:
            return FENCED
        except Retryable:
            return LOST
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
