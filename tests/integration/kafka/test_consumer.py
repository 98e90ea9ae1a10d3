"""The group consumer, the transactional producer and the reader on a real broker."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from mainstem.errors import Fenced, MainstemError, Misconfigured, Rejected, Unreachable
from mainstem.event import Partition
from mainstem.kafka.consumer import Assigned, Fetched, GroupConsumer
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin
from mainstem.kafka.transaction import TransactionalProducer
from tests.integration.kafka.member import DEADLINE_S, member

pytestmark = pytest.mark.stack


def records(topic: str, count: int, *, start: int = 0) -> list[Record]:
    return [Record(topic, str(n % 10).encode(), str(n).encode()) for n in range(start, start + count)]


def read_all(config: dict[str, Any], topic: str) -> list[int]:
    with reading(config) as reader:
        return [int(message.value() or b"") for messages in reader.read(reader.whole([topic])) for message in messages]


async def test_a_member_gets_every_record_and_its_successor_goes_on_after_the_commit(
    config: dict[str, Any], topic: str
) -> None:
    async with DurableProducer(config) as producer:
        await producer.send(records(topic, 1000))
        async with member(config, topic, topic) as first:
            await first.until(lambda: len(first.values) >= 1000)
        await producer.send(records(topic, 10, start=1000))
        async with member(config, topic, topic) as second:
            await second.until(lambda: len(second.values) >= 10)
    assert sorted(first.values) == list(range(1000))
    assert sorted(second.values) == list(range(1000, 1010))


async def test_a_partition_starts_where_it_is_told_to(config: dict[str, Any], topic: str) -> None:
    async with DurableProducer(config) as producer:
        await producer.send([Record(topic, None, str(n).encode(), (), 0) for n in range(100)])
    async with member(config, topic, topic, start={Partition(topic, 0): 90}) as late:
        await late.until(lambda: len(late.values) >= 10)
    assert late.values == list(range(90, 100))


async def test_two_members_share_the_partitions_and_the_second_takes_over_what_the_first_leaves(
    config: dict[str, Any], topic: str
) -> None:
    async with member(config, topic, topic) as first:
        await first.until(lambda: len(first.partitions) == 3)
        async with member(config, topic, topic) as second:
            await second.until(lambda: bool(second.partitions))
            await first.until(lambda: len(first.partitions | second.partitions) == 3 and len(first.partitions) < 3)
            assert not first.partitions & second.partitions
            await first.consumer.group_metadata(first.partitions)
            with pytest.raises(Fenced) as refused:
                await first.consumer.group_metadata(first.partitions | second.partitions)
            assert set(refused.value.partitions) == second.partitions
        await first.until(lambda: len(first.partitions) == 3)


async def test_what_is_fetched_before_a_hold_has_an_earlier_generation(config: dict[str, Any], topic: str) -> None:
    async with DurableProducer(config) as producer, GroupConsumer(config, topic, [topic]) as consumer:
        await producer.send([Record(topic, None, b"1", (), 0)])
        partition = Partition(topic, 0)
        generations = []
        async with asyncio.timeout(DEADLINE_S):
            async for happening in consumer.happenings():
                if isinstance(happening, Assigned):
                    await consumer.start(dict.fromkeys(happening.partitions, 0))
                if isinstance(happening, Fetched):
                    generations.append(happening.generation)
                    happening.done()
                    if len(generations) == 2:
                        break
                    await consumer.hold([partition])
                    started = await consumer.start({partition: 0})
    assert generations == [started - 1, started]


async def test_a_transaction_is_visible_as_a_whole(config: dict[str, Any], topic: str) -> None:
    async with TransactionalProducer(config, topic) as producer:
        await producer.commit(records(topic, 500))
        await producer.commit(records(topic, 500, start=500))
    assert sorted(read_all(config, topic)) == list(range(1000))


async def test_a_transaction_with_a_record_that_is_too_large_leaves_nothing(config: dict[str, Any], topic: str) -> None:
    async with TransactionalProducer(config, topic) as producer:
        with pytest.raises(MainstemError):
            await producer.commit([*records(topic, 5), Record(topic, None, bytes(2_000_000))])
        await producer.commit(records(topic, 3, start=100))
    assert sorted(read_all(config, topic)) == [100, 101, 102]


async def test_a_second_owner_of_the_transactional_id_fences_the_first(config: dict[str, Any], topic: str) -> None:
    async with TransactionalProducer(config, topic) as zombie:
        await zombie.commit(records(topic, 5))
        async with TransactionalProducer(config, topic) as successor:
            await successor.commit(records(topic, 5, start=5))
            with pytest.raises(Fenced):
                await zombie.commit(records(topic, 5, start=10))
    assert sorted(read_all(config, topic)) == list(range(10))


async def test_a_range_is_read_exactly(config: dict[str, Any], topic: str) -> None:
    async with DurableProducer(config) as producer:
        await producer.send([Record(topic, None, str(n).encode(), (), 1) for n in range(100)])
    with reading(config) as reader:
        values = [
            int(m.value() or b"") for batch in reader.read({Partition(topic, 1): (20, 70)}, batch=7) for m in batch
        ]
    assert values == list(range(20, 70))


async def test_reading_an_empty_topic_ends_at_once(config: dict[str, Any], topic: str) -> None:
    assert read_all(config, topic) == []


async def test_a_missing_topic_is_a_misconfiguration(config: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match="no topic"), reading(config) as reader:
        reader.whole([f"missing.{uuid.uuid4().hex}.v1"])


async def test_a_record_that_is_too_large_is_rejected_and_the_producer_goes_on(
    config: dict[str, Any], topic: str
) -> None:
    async with DurableProducer(config) as producer:
        with pytest.raises(Rejected):
            await producer.send([Record(topic, None, bytes(2_000_000))])
        await producer.send(records(topic, 3))
    assert sorted(read_all(config, topic)) == [0, 1, 2]


async def test_a_broker_that_does_not_answer_is_unreachable_within_the_timeout(free_port: int) -> None:
    config = {"bootstrap.servers": f"127.0.0.1:{free_port}", "message.timeout.ms": 500, "log_level": 0}
    async with DurableProducer(config) as producer:
        with pytest.raises(Unreachable):
            await producer.send(records("any.topic.v1", 1))


async def test_the_lag_of_a_group_counts_what_it_has_not_read(config: dict[str, Any], topic: str) -> None:
    async with DurableProducer(config) as producer:
        await producer.send(records(topic, 20))
        async with member(config, topic, topic) as first:
            await first.until(lambda: len(first.values) >= 20)
        await producer.send(records(topic, 30))
    admin = Admin(config)
    assert admin.group(topic).lag == 30
    admin.delete_groups([topic])
    assert admin.group(topic).positions == {}
