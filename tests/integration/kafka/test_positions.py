"""Where a member begins, and what it does when Kafka does not hold the next record any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from mainstem.errors import OFFSETS_GONE, TOPIC_MISSING, MainstemError, Misconfigured
from mainstem.event import Partition
from mainstem.kafka.consumer import Assigned, Failed, Fetched, GroupConsumer, Happening
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin, TopicSpec
from tests.integration.kafka.member import DEADLINE_S, member

pytestmark = pytest.mark.stack


async def send(config: dict[str, Any], topic: str, count: int) -> None:
    async with DurableProducer(config) as producer:
        await producer.send([Record(topic, None, str(n).encode(), (), 0) for n in range(count)])


def forget(config: dict[str, Any], topic: str, before: int) -> None:
    """As retention does it."""
    client = AdminClient(config)
    for future in client.delete_records([TopicPartition(topic, 0, before)]).values():
        future.result(DEADLINE_S)


async def first_of(consumer: GroupConsumer, kind: type[Any]) -> Any:
    """Starts whatever is assigned at its beginning until such a thing happens."""
    happenings: AsyncIterator[Happening] = consumer.happenings()
    async with asyncio.timeout(DEADLINE_S):
        async for happening in happenings:
            if isinstance(happening, kind):
                return happening
            if isinstance(happening, Assigned):
                await consumer.start({p: (await consumer.bounds(p))[0] for p in happening.partitions})
    raise AssertionError(f"no {kind.__name__}")


async def test_a_partition_starts_where_it_is_told_wherever_the_group_stands(
    config: dict[str, Any], topic: str
) -> None:
    await send(config, topic, 100)
    async with member(config, topic, topic) as first:
        await first.until(lambda: len(first.values) == 100)
    async with GroupConsumer(config, topic, [topic]) as second:
        fetched = await first_of(second, Fetched)
    assert fetched.messages[0].offset() == 0


async def test_a_partition_whose_beginning_is_deleted_has_no_gap_for_those_who_begin_behind_it(
    config: dict[str, Any], topic: str
) -> None:
    await send(config, topic, 100)
    forget(config, topic, before=50)
    for _ in range(5):
        async with GroupConsumer(config, topic, [topic]) as consumer:
            found: list[Happening] = []
            async with asyncio.timeout(DEADLINE_S):
                async for happening in consumer.happenings():
                    found.append(happening)
                    if isinstance(happening, Fetched):
                        break
                    await consumer.start({Partition(topic, 0): 60})
        assert list(map(type, found)) == [Assigned, Fetched]
        assert isinstance(happening, Fetched)
        assert happening.messages[0].offset() == 60


async def test_a_position_that_is_gone_when_a_member_begins_stops_it_with_both_numbers(
    config: dict[str, Any], topic: str
) -> None:
    await send(config, topic, 100)
    async with member(config, topic, topic, batch=10) as first:
        await first.until(lambda: len(first.values) == 100)
    await send(config, topic, 100)
    forget(config, topic, before=150)
    with pytest.raises(Misconfigured, match="holds offsets 150 to 200, the next one to read is 100") as stopped:
        async with member(config, topic, topic) as second:
            await second.until(lambda: bool(second.values))
    assert stopped.value.code is OFFSETS_GONE


async def test_records_that_are_deleted_before_they_are_read_are_no_silent_jump(
    config: dict[str, Any], topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstem.kafka.attendance.IDLE_PAUSE_S", 0)
    await send(config, topic, 100)
    with pytest.raises(Misconfigured, match="holds offsets 50 to 100"):
        async with member(config, topic, topic, batch=10, ahead=1) as busy:
            busy.free.clear()
            await busy.until(lambda: busy.handed == 1)
            await busy.consumer.bounds(Partition(topic, 0))  # a turn of the thread later it rests
            forget(config, topic, before=50)
            busy.free.set()
            await busy.until(lambda: len(busy.values) > 50)
    assert busy.values == list(range(len(busy.values)))
    assert busy.failures[0].code is OFFSETS_GONE
    assert "the next one to read is" in busy.failures[0].cause


async def test_a_member_that_met_a_gap_reads_on_when_it_is_told_where_to(config: dict[str, Any], topic: str) -> None:
    await send(config, topic, 100)
    place = Partition(topic, 0)
    async with GroupConsumer(config, topic, [topic]) as consumer:
        starts = iter([1_000, 90])
        found: list[Happening] = []
        async with asyncio.timeout(DEADLINE_S):
            async for happening in consumer.happenings():
                found.append(happening)
                if isinstance(happening, Assigned):
                    await consumer.start({place: next(starts)})
                if isinstance(happening, Fetched):
                    break
                if not isinstance(happening, Assigned | Failed):
                    happening.left()
    assert isinstance(happening, Fetched)
    assert happening.messages[0].offset() == 90
    [failed] = [each for each in found if isinstance(each, Failed)]
    assert "holds offsets 0 to 100, the next one to read is 1000" in failed.error.cause


async def test_a_missing_topic_is_told_and_is_read_when_it_is_made(config: dict[str, Any]) -> None:
    topic = f"test.late{uuid4().hex}.v1"
    prompt = {**config, "topic.metadata.refresh.interval.ms": 500}
    async with member(prompt, topic, topic) as early:
        await early.until(lambda: bool(early.failures))
        assert early.failures[0].code is TOPIC_MISSING
        await asyncio.to_thread(Admin(config).create, [TopicSpec(topic, 1)])
        await send(config, topic, 5)
        await early.until(lambda: len(early.values) == 5)


async def test_a_session_that_the_broker_does_not_take_is_a_misconfiguration(
    config: dict[str, Any], topic: str
) -> None:
    async with GroupConsumer({**config, "session.timeout.ms": 500}, topic, [topic]) as consumer:
        failed = await first_of(consumer, Failed)
    assert isinstance(failed.error, Misconfigured)
    assert "session timeout" in failed.error.cause.lower()


async def test_a_client_that_cannot_be_made_is_told_and_whoever_asks_it_is_refused(topic: str) -> None:
    impossible = {"bootstrap.servers": "127.0.0.1:1", "security.protocol": "ssl", "ssl.ca.location": "/nowhere"}
    async with GroupConsumer(impossible, topic, [topic]) as consumer:
        with pytest.raises(MainstemError, match=r"ssl\.ca\.location"):
            await first_of(consumer, Fetched)
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(MainstemError, match="closed"):
                await consumer.committed([Partition(topic, 0)])
