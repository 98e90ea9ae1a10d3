"""Exactly-once sinks that share a target wait together while it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from mainstem.deliver.guarded_target import LOOK_S, GuardedTarget
from mainstem.errors import TARGET_UNREACHABLE, Fenced, Unreachable
from mainstem.flow.breaker import Breaker, BreakerState
from mainstem.flow.retry import RetryPolicy
from mainstem.observe.board import State
from mainstem.sdk.sink import Advance, Progress, SinkIdentity, Target
from mainstem.sdk.undecoded import UndecodedTransaction
from mainstem.testing.memory_target import MemorySink, MemoryStore
from tests.unit.deliver.worker_rig import P0, P1, Rig


class CountingStore(MemoryStore):
    """Knows how often it was asked anything."""

    asked = 0

    def answer(self) -> None:
        self.asked += 1
        super().answer()


class World:
    """One store, its breaker, and the time."""

    def __init__(self) -> None:
        self.store = CountingStore()
        self.breaker = Breaker(RetryPolicy(first_s=4, max_s=4), lambda _low, high: high)
        self.now = 0.0

    @asynccontextmanager
    async def target(self, sink: str) -> AsyncIterator[Target]:
        async with MemorySink(store=self.store).open(SinkIdentity("books", sink)) as opened:
            yield GuardedTarget(opened, "the memory store", self.breaker, lambda: self.now)

    @property
    def state(self) -> BreakerState:
        return self.breaker.state(self.now)


async def test_one_outage_keeps_the_others_away_until_one_of_them_may_try() -> None:
    world = World()
    async with world.target("journal") as first, world.target("stock") as second:
        world.store.reachable = False
        with pytest.raises(Unreachable, match="the memory store is down"):
            await first.parked(["a"])
        asked = world.store.asked
        with pytest.raises(Unreachable, match="the memory store does not answer") as told:
            await second.parked(["a"])
        assert world.store.asked == asked
        assert told.value.after_s == LOOK_S
        world.now = 4.0
        world.store.reachable = True
        await second.parked(["a"])
        assert world.state is BreakerState.CLOSED
        await first.parked(["a"])


class Staging(Target):
    """A target that notes what is staged."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def stage(self, batch: object) -> None:
        self.asked.append("stage")
        if self.error is not None:
            raise self.error

    @asynccontextmanager
    async def staged(self, batch: object) -> AsyncIterator[str]:
        self.asked.append("staged")
        if self.error is not None:
            raise self.error
        yield "a transaction"


async def test_whoever_brings_a_batch_beforehand_finds_an_outage_and_waits_with_the_others() -> None:
    world, staging, batch = World(), cast(Any, Staging)(), cast(Any, object())
    target = GuardedTarget(staging, "it", world.breaker, lambda: world.now)
    await target.stage(batch)
    async with target.staged(batch) as transaction:
        assert cast(Any, transaction) == "a transaction"
    staging.error = Unreachable("gone", code=TARGET_UNREACHABLE)
    with pytest.raises(Unreachable, match="gone"):
        await target.stage(batch)
    assert world.state is not BreakerState.CLOSED
    with pytest.raises(Unreachable, match="gone"):
        await target.stage(batch)
    with pytest.raises(Unreachable, match="gone"):
        async with target.staged(batch):
            pass
    assert staging.asked == ["stage", "staged", "stage"], "nobody asks a target that does not answer"


async def test_a_target_to_which_nothing_can_be_brought_beforehand_has_its_transactions_only() -> None:
    world, batch = World(), cast(Any, object())
    async with world.target("journal") as target:
        assert isinstance(target, GuardedTarget)
        await target.stage(batch)
        async with target.staged(batch) as transaction:
            assert not isinstance(transaction, UndecodedTransaction)


async def test_one_who_may_not_try_says_what_the_target_said_last() -> None:
    world = World()
    async with world.target("journal") as target:
        world.store.reachable = False
        for _ in range(2):
            with pytest.raises(Unreachable, match="the memory store is down"):
                await target.take_over([P0])
        assert world.store.asked == 1
        world.now = 3.9
        with pytest.raises(Unreachable) as told:
            await target.take_over([P0])
        assert told.value.after_s == pytest.approx(0.1)


async def test_a_refusal_is_an_answer() -> None:
    world = World()
    async with world.target("journal") as first, world.target("journal") as second:
        (claim,) = await first.take_over([P0])
        await second.take_over([P0])
        world.store.reachable = False
        with pytest.raises(Unreachable):
            await second.parked([])
        world.now, world.store.reachable = 4.0, True
        with pytest.raises(Fenced):
            async with first.transaction() as transaction:
                await transaction.commit(Progress([Advance(claim, None, 1)]))
        assert world.state is BreakerState.CLOSED


async def test_one_who_is_cancelled_while_it_tries_lets_the_next_one_try() -> None:
    world = World()
    async with world.target("journal") as first, world.target("stock") as second:
        world.store.reachable = False
        with pytest.raises(Unreachable):
            await first.parked([])
        world.now, world.store.reachable = 4.0, True
        with pytest.raises(asyncio.CancelledError):
            async with first.transaction():
                with pytest.raises(Unreachable):
                    await second.parked([])
                raise asyncio.CancelledError
        assert world.state is BreakerState.HALF_OPEN
        await second.parked([])


async def test_two_workers_of_one_target_wait_for_it_together_and_deliver_everything() -> None:
    breaker = Breaker(RetryPolicy(first_s=0.01, max_s=0.02))
    first = Rig()
    second = Rig(store=first.store)
    first.publish(*range(6))
    second.publish(*range(10, 16), partition=P1)
    first.store.reachable = False
    async with first.running(breaker), second.running(breaker):
        first.consumer.assign(P0)
        second.consumer.assign(P1)
        await first.until(lambda: State.WAITING is first.status.state is second.status.state)
        first.store.reachable = True
        await first.until(lambda: len(first.store.rows) == 12)
    assert sorted(first.delivered) == [*range(6), *range(10, 16)]
