"""What is late or lost on the way to the coordinator ends no transaction but its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from mainstem.devstack import Stack
from mainstem.errors import Fenced, Unreachable
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.kafka.transaction_state import State
from tests.integration.kafka.transaction_rig import Rig, arrival, rig_on, until
from tests.tcp_proxy import Api, Held

pytestmark = pytest.mark.stack

REFUSED = {47, 90}
"""INVALID_PRODUCER_EPOCH and PRODUCER_FENCED."""


@pytest.fixture
def rig(stack: Stack) -> Iterator[Rig]:
    with rig_on(stack) as made:
        yield made


@asynccontextmanager
async def in_the_middle(rig: Rig, producer: TransactionalProducer, *values: int) -> AsyncIterator[None]:
    """Everything of a transaction is written, and its commit is on its way, for as long as this lasts."""
    held = rig.proxy.hold_request(Api.END_TXN)
    commit = asyncio.create_task(producer.commit(rig.batch(*values)))
    await arrival(held)
    yield
    await asyncio.to_thread(held.release)
    await commit


async def late_commit(rig: Rig, producer: TransactionalProducer, *values: int) -> Held:
    """A transaction whose commit is still on its way when its producer has given up on it."""
    held = rig.proxy.hold_request(Api.END_TXN)
    rig.proxy.hold_request(Api.END_TXN)  # the copy that the library sends at its own time
    with pytest.raises(Unreachable, match="not known"):
        await producer.commit(rig.batch(*values))
    rig.proxy.clear()
    assert held.arrived.is_set()
    return held


async def test_a_commit_that_is_late_does_nothing_to_the_next_transaction_of_the_replaced_producer(rig: Rig) -> None:
    async with rig.producer() as producer:
        late = await late_commit(rig, producer, 1, 2, 3, 4)
        await producer.renew()
        async with in_the_middle(rig, producer, 5, 6, 7, 8):
            await asyncio.to_thread(late.release)
        assert late.error in REFUSED
    assert rig.committed() == [5, 6, 7, 8]


async def test_a_commit_that_is_late_does_nothing_to_the_successor_s_transaction(rig: Rig) -> None:
    async with rig.producer() as producer:
        late = await late_commit(rig, producer, 1, 2, 3, 4)
        async with rig.producer() as successor:
            async with in_the_middle(rig, successor, 5, 6, 7, 8):
                await asyncio.to_thread(late.release)
            assert late.error in REFUSED
            assert rig.committed() == [5, 6, 7, 8]


async def test_a_commit_that_the_library_sent_twice_does_not_tear_the_next_transaction(rig: Rig) -> None:
    async with rig.producer() as producer:
        first_copy = rig.proxy.hold_request(Api.END_TXN)
        commit = asyncio.create_task(producer.commit(rig.batch(1, 2, 3, 4)))
        await arrival(first_copy)
        rig.proxy.cut()
        await commit
        assert producer.state is State.SPENT
        with pytest.raises(Unreachable, match="claimed anew"):
            await producer.commit(rig.batch(1, 2, 3, 4))
        async with in_the_middle(rig, producer, 5, 6, 7, 8):
            await asyncio.to_thread(first_copy.release)
            assert first_copy.error in REFUSED
    assert rig.committed() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("cut", [True, False], ids=["with its connection", "alone"])
async def test_an_answer_to_a_commit_that_is_lost_leaves_all_of_it_or_says_that_it_is_not_known(
    rig: Rig, cut: bool
) -> None:
    async with rig.producer() as producer:
        rig.proxy.drop_answer(Api.END_TXN, cut=cut)
        try:
            await producer.commit(rig.batch(1, 2, 3, 4))
        except Unreachable:
            assert producer.state is State.SPENT
        await producer.renew()
        assert rig.committed() == [1, 2, 3, 4]
        await producer.commit(rig.batch(5))
    assert rig.committed() == [1, 2, 3, 4, 5]


async def test_a_zombie_is_fenced_and_stays_so(rig: Rig) -> None:
    async with rig.producer() as zombie:
        await zombie.commit(rig.batch(1))
        async with rig.producer(disturbed=False) as successor:
            with pytest.raises(Fenced) as fenced:
                await zombie.commit(rig.batch(2))
            assert not fenced.value.partitions
            asked = dict(rig.proxy.seen)
            with pytest.raises(Fenced):
                await zombie.commit(rig.batch(2))
            assert rig.proxy.seen == asked
            await successor.commit(rig.batch(3))
    assert rig.committed() == [1, 3]


async def test_one_who_was_fenced_and_is_given_the_work_again_claims_it_when_kafka_answers(rig: Rig) -> None:
    async with rig.producer(timeout_ms=1000) as producer:
        async with rig.producer(disturbed=False):
            with pytest.raises(Fenced):
                await producer.commit(rig.batch(1))
        rig.proxy.refuse()
        with pytest.raises(Unreachable):
            await producer.renew()
        rig.proxy.resume()
        await producer.renew()
        await producer.commit(rig.batch(2))
    assert rig.committed() == [2]


async def test_two_who_commit_at_the_same_time_take_turns(rig: Rig) -> None:
    async with rig.producer() as producer:
        await asyncio.gather(*(producer.commit(rig.batch(n)) for n in range(5)))
    assert rig.committed() == [0, 1, 2, 3, 4]


async def test_one_who_wakes_in_the_middle_of_a_commit_hears_that_it_was_fenced(rig: Rig) -> None:
    async with rig.producer() as zombie:
        held = rig.proxy.hold_request(Api.END_TXN)
        commit = asyncio.create_task(zombie.commit(rig.batch(1, 2)))
        await arrival(held)
        async with rig.producer(disturbed=False) as successor:
            await asyncio.to_thread(held.release)
            with pytest.raises(Fenced):
                await commit
            await successor.commit(rig.batch(3, 4))
    assert rig.committed() == [3, 4]


async def test_a_broker_that_is_away_for_longer_than_a_transaction_may_last_costs_that_transaction(rig: Rig) -> None:
    async with rig.producer() as producer:
        held = rig.proxy.hold_request(Api.END_TXN)
        commit = asyncio.create_task(producer.commit(rig.batch(1, 2, 3, 4)))
        await arrival(held)
        rig.proxy.refuse()
        with pytest.raises(Unreachable, match="not known"):
            await commit
        with pytest.raises(Unreachable):
            await producer.renew()
        rig.proxy.resume()
        await producer.renew()
        await producer.commit(rig.batch(5))
        await asyncio.to_thread(held.release)
        assert held.error in REFUSED
    assert rig.committed() == [5]


async def test_a_commit_that_was_cancelled_is_settled_before_the_position_is_read(rig: Rig) -> None:
    async with rig.producer(timeout_ms=10_000) as producer:
        held = rig.proxy.hold_request(Api.END_TXN)
        commit = asyncio.create_task(producer.commit(rig.batch(1, 2)))
        await arrival(held)
        commit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await commit
        assert producer.state is State.SPENT
        await producer.renew()
        assert rig.committed() == []
        await producer.commit(rig.batch(1, 2))
        await asyncio.to_thread(held.release)
    assert rig.committed() == [1, 2]


async def test_one_who_leaves_in_the_middle_of_a_commit_leaves_no_thread_behind(rig: Rig) -> None:
    async with rig.producer(timeout_ms=10_000) as producer:
        commit = asyncio.create_task(producer.commit(rig.batch(1, 2)))
        held = rig.proxy.hold_request(Api.END_TXN)
        await arrival(held)
    with pytest.raises(Unreachable):
        await commit
    await until(lambda: not any(rig.topic in thread.name for thread in threading.enumerate()))


async def test_one_who_cannot_enter_leaves_no_thread_behind(rig: Rig) -> None:
    rig.proxy.refuse()
    with pytest.raises(Unreachable):
        async with rig.producer(timeout_ms=1000):
            pytest.fail("it was entered")
    await until(lambda: not any(rig.topic in thread.name for thread in threading.enumerate()))
