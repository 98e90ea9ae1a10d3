"""Partitions that are started late, one after the other, and on a bad line: each is read from where it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mainstem.devstack import Stack
from mainstem.event import Partition
from mainstem.kafka.consumer import Assigned, Fetched, GroupConsumer, Happening
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.record import Record
from tests.integration.kafka.member import DEADLINE_S
from tests.tcp_proxy import Api, KafkaProxy

pytestmark = pytest.mark.stack
PAYLOAD = bytes(2_000)
ASKED_WITHIN_S = 0.3
"""Whoever asks where partitions end as soon as they are assigned has done so by then."""


async def send(config: dict[str, Any], topic: str, partition: int, count: int) -> None:
    async with DurableProducer(config) as producer:
        await producer.send([Record(topic, None, PAYLOAD, (), partition) for _ in range(count)])


async def assigned(happenings: AsyncIterator[Happening]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        assert isinstance(await anext(happenings), Assigned)


async def read(
    happenings: AsyncIterator[Happening], offsets: dict[int, list[int]], enough: Callable[[dict[int, list[int]]], bool]
) -> None:
    """Adds the offsets of what is fetched, by partition, until it is enough."""
    async with asyncio.timeout(DEADLINE_S):
        while not enough(offsets):
            fetched = await anext(happenings)
            assert isinstance(fetched, Fetched)
            for message in fetched.messages:
                offsets.setdefault(message.partition() or 0, []).append(message.offset() or 0)
            fetched.done()


async def test_an_answer_about_an_offset_that_comes_after_the_start_does_not_undo_it(
    config: dict[str, Any], topic: str, stack: Stack
) -> None:
    await send(config, topic, 0, 2_000)
    host, _, port = stack.bootstrap.rpartition(":")
    with KafkaProxy(host, int(port)) as proxy:
        held = [proxy.hold_answer(Api.LIST_OFFSETS) for _ in range(3)]
        slow = {**config, "bootstrap.servers": proxy.address, "fetch.message.max.bytes": 10 * len(PAYLOAD)}
        async with GroupConsumer(slow, topic, [topic]) as consumer:
            happenings = consumer.happenings()
            await assigned(happenings)
            await asyncio.to_thread(lambda: [one.arrived.wait(ASKED_WITHIN_S) for one in held])
            await consumer.start({Partition(topic, 0): 0})
            proxy.release_all()
            offsets: dict[int, list[int]] = {}
            await read(happenings, offsets, lambda found: bool(found) and found[0][-1] == 1_999)
    assert offsets == {0: list(range(2_000))}


async def test_partitions_that_are_started_one_after_the_other_are_each_read_once_and_in_order(
    config: dict[str, Any], topic: str
) -> None:
    for number in range(3):
        await send(config, topic, number, 2_000)
    async with GroupConsumer(config, topic, [topic], batch=200) as consumer:
        happenings = consumer.happenings()
        await assigned(happenings)
        offsets: dict[int, list[int]] = {}
        for number in range(3):
            await consumer.start({Partition(topic, number): 10 * number})
            await read(happenings, offsets, lambda found, number=number: len(found.get(number, ())) >= 200)  # type: ignore[misc]
        await consumer.hold([Partition(topic, 1)])
        await consumer.start({Partition(topic, 1): offsets[1][-1] + 1})
        await read(happenings, offsets, lambda found: sum(map(len, found.values())) >= 5_970)
    assert offsets == {number: list(range(10 * number, 2_000)) for number in range(3)}


async def test_a_partition_that_was_held_while_others_were_started_is_read_again_from_where_it_is_told(
    config: dict[str, Any], topic: str
) -> None:
    for number in range(2):
        await send(config, topic, number, 2_000)
    first, second = Partition(topic, 0), Partition(topic, 1)
    async with GroupConsumer(config, topic, [topic], batch=200) as consumer:
        happenings = consumer.happenings()
        await assigned(happenings)
        await consumer.start({first: 0})
        await read(happenings, {}, lambda found: len(found.get(0, ())) >= 200)
        await consumer.hold([first])
        generation = await consumer.start({second: 0})
        await read_of(happenings, generation, second, 0)
        generation = await consumer.start({first: 100})
        await read_of(happenings, generation, first, 100)


async def read_of(happenings: AsyncIterator[Happening], generation: int, partition: Partition, start: int) -> None:
    """The first record of the partition that counts is the one at `start`."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            fetched = await anext(happenings)
            assert isinstance(fetched, Fetched)
            fetched.done()
            ours = [m.offset() for m in fetched.messages if m.partition() == partition.number]
            if fetched.generation >= generation and ours:
                assert ours[0] == start
                return
