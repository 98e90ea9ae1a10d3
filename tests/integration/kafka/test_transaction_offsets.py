"""A group's offsets in a transaction: committed with the records, or not at all; and a lost membership is no fence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
from confluent_kafka import Consumer

from mainstem.devstack import Stack
from mainstem.errors import Fenced, Unreachable
from mainstem.event import Partition
from mainstem.kafka.transaction_state import State
from tests.integration.kafka.transaction_rig import DEADLINE_S, Rig, rig_on
from tests.tcp_proxy import Api

pytestmark = pytest.mark.stack

LOADING = 14
ILLEGAL_GENERATION = 22
UNKNOWN_MEMBER = 25
FENCED_INSTANCE = 82
FENCED = 90


@pytest.fixture
def rig(stack: Stack) -> Iterator[Rig]:
    with rig_on(stack) as made:
        yield made


@contextmanager
def member(rig: Rig) -> Iterator[Consumer]:
    """One that has its partitions; leaves the group at the end."""
    consumer = Consumer({**rig.direct, "group.id": rig.topic, "enable.auto.commit": False})
    try:
        consumer.subscribe([rig.topic])
        deadline = monotonic() + DEADLINE_S
        while not consumer.assignment():
            assert monotonic() < deadline
            consumer.poll(0.05)
        yield consumer
    finally:
        consumer.close()


def lost_membership(rig: Rig) -> Any:
    """The metadata of a member that the group does not know any more."""
    with member(rig) as former:
        return former.consumer_group_metadata()


async def test_offsets_are_committed_with_the_records(rig: Rig) -> None:
    first = Partition(rig.topic, 0)
    async with rig.producer() as producer:
        with member(rig) as consumer:
            await producer.commit(rig.batch(1, 2), {first: 7}, consumer.consumer_group_metadata())
            await producer.commit([], {first: 9}, consumer.consumer_group_metadata())
    assert rig.committed() == [1, 2]
    assert rig.group_offset(first) == 9


async def test_one_whom_the_group_has_left_out_loses_the_partitions_and_keeps_its_producer(rig: Rig) -> None:
    first = Partition(rig.topic, 0)
    async with rig.producer() as producer:
        with pytest.raises(Fenced) as fenced:
            await producer.commit(rig.batch(1, 2), {first: 7}, lost_membership(rig))
        assert fenced.value.partitions == {first}
        assert producer.state is State.READY
        await producer.commit(rig.batch(3, 4))
    assert rig.committed() == [3, 4]
    assert rig.group_offset(first) is None


@pytest.mark.parametrize("error", [ILLEGAL_GENERATION, UNKNOWN_MEMBER, FENCED_INSTANCE])
async def test_every_word_for_a_lost_membership_is_understood(rig: Rig, error: int) -> None:
    first = Partition(rig.topic, 0)
    with member(rig) as consumer:
        async with rig.producer() as producer:
            rig.proxy.answer_with(Api.TXN_OFFSET_COMMIT, error)
            with pytest.raises(Fenced) as fenced:
                await producer.commit([], {first: 7}, consumer.consumer_group_metadata())
            assert fenced.value.partitions == {first}
            assert producer.state is State.READY
    assert rig.group_offset(first) is None


@pytest.mark.parametrize("api", [Api.ADD_OFFSETS_TO_TXN, Api.TXN_OFFSET_COMMIT])
async def test_a_passing_error_of_offsets_is_waited_out(rig: Rig, api: Api) -> None:
    first = Partition(rig.topic, 0)
    with member(rig) as consumer:
        async with rig.producer() as producer:
            rig.proxy.answer_with(api, LOADING)
            await producer.commit(rig.batch(1), {first: 7}, consumer.consumer_group_metadata())
    assert rig.committed() == [1]
    assert rig.group_offset(first) == 7


async def test_one_who_is_fenced_while_it_adds_offsets_loses_everything(rig: Rig) -> None:
    first = Partition(rig.topic, 0)
    with member(rig) as consumer:
        async with rig.producer() as producer:
            rig.proxy.answer_with(Api.ADD_OFFSETS_TO_TXN, FENCED)
            with pytest.raises(Fenced) as fenced:
                await producer.commit(rig.batch(1), {first: 7}, consumer.consumer_group_metadata())
            assert not fenced.value.partitions
            assert producer.state is State.FENCED
    assert rig.group_offset(first) is None


async def test_an_answer_about_offsets_that_is_lost_leaves_neither_records_nor_offsets_alone(rig: Rig) -> None:
    first = Partition(rig.topic, 0)
    with member(rig) as consumer:
        async with rig.producer() as producer:
            rig.proxy.drop_answer(Api.TXN_OFFSET_COMMIT, cut=True)
            try:
                await producer.commit(rig.batch(1), {first: 7}, consumer.consumer_group_metadata())
            except Unreachable:
                await producer.renew()
    assert (rig.committed(), rig.group_offset(first)) in (([1], 7), ([], None))
