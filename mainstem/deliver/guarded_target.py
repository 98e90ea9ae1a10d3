"""An exactly-once target behind the breaker that all share who write to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from time import monotonic
from typing import cast

from mainstem.errors import TARGET_UNREACHABLE, Unreachable
from mainstem.event import Partition
from mainstem.flow.breaker import Breaker
from mainstem.sdk.sink import Claim, Letter, ParkedKey, Target, Transaction
from mainstem.sdk.undecoded import StagingTarget, Undecoded, UndecodedTransaction

LOOK_S = 0.5
"""How often to look whether the one who tries the target has been answered."""


class GuardedTarget(Target):
    """While the target does not answer, one worker tries it; the others are told when to ask again (`after_s`)."""

    def __init__(self, target: Target, name: str, breaker: Breaker, clock: Callable[[], float] = monotonic) -> None:
        self._target = target
        self._breaker = breaker
        self._clock = clock
        self._said = f"{name} does not answer"

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        with self._tried():
            return await self._target.take_over(partitions)

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        with self._tried():
            return await self._target.parked(topics)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        with self._tried():
            async with self._target.transaction() as transaction:
                yield transaction

    async def stage(self, batch: Undecoded) -> None:
        if isinstance(self._target, StagingTarget):
            with self._tried():
                await self._target.stage(batch)

    def staged(self, batch: Undecoded) -> AbstractAsyncContextManager[UndecodedTransaction]:
        return self._staged(batch)

    @asynccontextmanager
    async def _staged(self, batch: Undecoded) -> AsyncIterator[UndecodedTransaction]:
        target = self._target
        with self._tried():
            begun = target.staged(batch) if isinstance(target, StagingTarget) else target.transaction()
            async with begun as transaction:
                yield cast(UndecodedTransaction, transaction)

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        with self._tried():
            return await self._target.letters(partition, after)

    async def forget_letters(self, partition: Partition, through: int) -> None:
        with self._tried():
            await self._target.forget_letters(partition, through)

    @contextmanager
    def _tried(self) -> Iterator[None]:
        now = self._clock()
        leave = self._breaker.admit(now)
        if leave is None:
            raise Unreachable(self._said, code=TARGET_UNREACHABLE, after_s=self._asks_again_in(now))
        try:
            yield
        except Unreachable as error:
            self._said = error.cause
            now = self._clock()
            self._breaker.failed(leave, now, error.after_s)
            raise
        except Exception:
            self._breaker.succeeded(leave)  # a refusal is an answer
            raise
        except BaseException:
            self._breaker.returned(leave)
            raise
        else:
            self._breaker.succeeded(leave)

    def _asks_again_in(self, now: float) -> float:
        again = self._breaker.asks_again_at(now)
        return LOOK_S if again is None else min(again - now, LOOK_S)
