"""A group's lag is what it has still to do: 0 when its last record is done, whatever markers follow that."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from mainstem.event import Partition
from mainstem.kafka.lag import GroupLag, without_records
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer

pytestmark = pytest.mark.stack


def stands(config: dict[str, Any], group: str, topic: str, offset: int) -> None:
    """Commits the next offset of partition 0 for the group."""
    consumer = Consumer({**config, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


def made(topic: str, count: int) -> list[Record]:
    return [Record(topic, None, b"%d" % n, (), 0) for n in range(count)]


@pytest.fixture
def lag(config: dict[str, Any], topic: str) -> Iterator[GroupLag]:
    with GroupLag(config, topic, [topic]) as asked:
        yield asked


async def test_a_partition_read_to_its_last_record_shows_none_though_markers_follow(
    config: dict[str, Any], topic: str, lag: GroupLag
) -> None:
    async with TransactionalProducer(config, uuid.uuid4().hex) as producer:
        for _ in range(3):
            await producer.commit(made(topic, 10))
    stands(config, topic, topic, 32)  # 30 records and the two markers between them; the third one ends the partition
    assert lag.read()[Partition(topic, 0)] == 1
    assert lag.read() == {Partition(topic, number): 0 for number in range(3)}
    assert lag.read()[Partition(topic, 0)] == 0


async def test_records_that_wait_are_counted_however_long_they_do(
    config: dict[str, Any], topic: str, lag: GroupLag
) -> None:
    async with DurableProducer(config) as producer:
        await producer.send(made(topic, 20))
        stands(config, topic, topic, 15)
        assert [lag.read()[Partition(topic, 0)] for _ in range(4)] == [5] * 4
        await producer.send(made(topic, 1))
    assert lag.read()[Partition(topic, 0)] == 6


async def test_what_comes_after_a_partition_was_found_read_counts_again(
    config: dict[str, Any], topic: str, lag: GroupLag
) -> None:
    async with TransactionalProducer(config, uuid.uuid4().hex) as producer:
        await producer.commit(made(topic, 10))
        stands(config, topic, topic, 10)
        assert [lag.read()[Partition(topic, 0)] for _ in range(3)] == [1, 0, 0]
        await producer.commit(made(topic, 4))
        assert [lag.read()[Partition(topic, 0)] for _ in range(3)] == [6, 6, 6]
        stands(config, topic, topic, 15)
        assert [lag.read()[Partition(topic, 0)] for _ in range(3)] == [1, 0, 0]


async def test_a_group_beyond_the_end_is_not_behind(config: dict[str, Any], topic: str, lag: GroupLag) -> None:
    async with DurableProducer(config) as producer:
        await producer.send(made(topic, 20))
    stands(config, topic, topic, 30)
    assert [lag.read()[Partition(topic, 0)] for _ in range(2)] == [0, 0]


async def test_a_group_that_has_committed_nothing_has_the_whole_partition_before_it(
    config: dict[str, Any], topic: str, lag: GroupLag
) -> None:
    async with DurableProducer(config) as producer:
        await producer.send(made(topic, 20))
    assert [sum(lag.read().values()) for _ in range(3)] == [20] * 3


def test_a_topic_that_does_not_exist_counts_for_nothing(config: dict[str, Any]) -> None:
    with GroupLag(config, "nobody", [f"missing.{uuid.uuid4().hex}.v1"]) as asked:
        assert asked.read() == {}


async def test_a_group_is_looked_into_where_offsets_are_left(config: dict[str, Any], topic: str) -> None:
    async with TransactionalProducer(config, uuid.uuid4().hex) as producer:
        for _ in range(3):
            await producer.commit(made(topic, 10))
    left = {Partition(topic, 0): 32, Partition(topic, 1): 0}
    assert without_records(config, left) == set(left)
    assert without_records(config, {**left, Partition(topic, 0): 31}) == {Partition(topic, 1)}
    assert without_records(config, {}) == set()
