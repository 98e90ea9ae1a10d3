"""A member whose loop is busy for long: it stays a member, and what was fetched ahead of it comes later, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mainstem.event import Partition
from mainstem.kafka.consumer import Assigned, Fetched, GroupConsumer, Happening, Revoked
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.record import Record
from tests.integration.kafka.member import DEADLINE_S, Member, member

pytestmark = pytest.mark.stack
SHORT = {"session.timeout.ms": 1_500, "max.poll.interval.ms": 2_000}
PAYLOAD = b" " + bytes(2_000)


def numbered(topic: str, count: int, *, start: int = 0, payload: bytes = PAYLOAD) -> list[Record]:
    return [Record(topic, None, str(n).encode() + payload, (), 0) for n in range(start, start + count)]


async def next_of(happenings: AsyncIterator[Happening], kind: type[Any]) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        async for happening in happenings:
            if isinstance(happening, kind):
                return happening
    raise AssertionError(f"no {kind.__name__}")


async def troubled(busy: Member, within_s: float) -> bool:
    """Whether the member loses something, or is told of something, within that time."""
    try:
        async with asyncio.timeout(within_s):
            await busy.until(lambda: bool(busy.revocations or busy.failures or busy.assignments > 1))
    except TimeoutError:
        return False
    return True


async def test_a_loop_that_is_busy_for_longer_than_the_interval_of_polls_costs_no_membership_and_no_record(
    config: dict[str, Any], topic: str
) -> None:
    async with (
        DurableProducer(config) as producer,
        member({**config, **SHORT}, topic, topic, batch=500) as busy,
    ):
        await busy.until(lambda: busy.assignments == 1)
        busy.free.clear()
        await producer.send(numbered(topic, 6_000))
        assert not await troubled(busy, within_s=3 * SHORT["max.poll.interval.ms"] / 1000)
        assert busy.values == []
        await producer.send(numbered(topic, 1_000, start=6_000))
        busy.free.set()
        await busy.until(lambda: len(busy.values) >= 7_000)
    assert busy.values == list(range(7_000))


async def test_a_busy_member_that_pauses_again_and_again_gets_each_record_once_and_in_order(
    config: dict[str, Any], topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstem.kafka.attendance.IDLE_PAUSE_S", 0)
    async with (
        DurableProducer(config) as producer,
        member(config, topic, topic, batch=200, ahead=1) as busy,
    ):
        await producer.send(numbered(topic, 4_000))
        await busy.until(lambda: len(busy.values) >= 4_000)
    assert busy.values == list(range(4_000))


async def test_a_rebalance_waits_for_a_busy_member_only_for_a_while(
    config: dict[str, Any], topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstem.kafka.attendance.REVOKE_S", 1.0)
    async with DurableProducer(config) as producer, member(config, topic, topic) as busy:
        await busy.until(lambda: busy.assignments == 1)
        busy.free.clear()
        await producer.send([Record(topic, None, b"%d" % n, (), n % 3) for n in range(300)])
        async with member(config, topic, topic) as other:
            async with asyncio.timeout(10):
                await other.until(lambda: bool(other.partitions))
            busy.free.set()
            await busy.until(lambda: len(busy.partitions) + len(other.partitions) == 3)
            await other.until(lambda: set(busy.values) | set(other.values) == set(range(300)))
        assert busy.failures == other.failures == []


async def test_what_is_started_while_the_loop_is_busy_is_read_from_its_first_record(
    config: dict[str, Any], topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstem.kafka.attendance.IDLE_PAUSE_S", 0)
    place = Partition(topic, 0)
    async with DurableProducer(config) as producer, GroupConsumer(config, topic, [topic], ahead=1) as consumer:
        await producer.send(numbered(topic, 100))
        happenings = consumer.happenings()
        await next_of(happenings, Assigned)
        await consumer.start({place: 50})
        first: Fetched = await next_of(happenings, Fetched)
        await consumer.hold([place])
        await consumer.start({place: 0})
        for _ in range(40):  # as many turns of the thread, each of which looks for records
            await consumer.bounds(place)
        first.done()
        second: Fetched = await next_of(happenings, Fetched)
    assert second.messages[0].offset() == 0


async def test_a_member_that_ends_in_the_middle_of_a_rebalance_holds_nobody_up(
    config: dict[str, Any], topic: str
) -> None:
    async with member(config, topic, topic) as other:
        async with asyncio.timeout(10):
            async with GroupConsumer(config, topic, [topic]) as ending:
                happenings = ending.happenings()
                await next_of(happenings, Assigned)
                await other.until(lambda: len(other.partitions) in {1, 2})
                third = asyncio.create_task(_join(config, topic))
                await next_of(happenings, Revoked)
            await third
            await other.until(lambda: len(other.partitions) == 3)


async def _join(config: dict[str, Any], topic: str) -> None:
    """Joins, and leaves when it has been given something."""
    async with member(config, topic, topic) as joined:
        await joined.until(lambda: joined.assignments > 0)


@pytest.mark.parametrize(("record", "count"), [(100_000, 60), (400_000, 12)])
async def test_a_batch_is_bounded_in_bytes(config: dict[str, Any], topic: str, record: int, count: int) -> None:
    async with (
        DurableProducer(config) as producer,
        member(config, topic, topic, batch_bytes=1_000_000) as sized,
    ):
        await sized.until(lambda: sized.assignments == 1)
        await producer.send(numbered(topic, count, payload=b" " + bytes(record)))
        await sized.until(lambda: len(sized.values) >= count)
    assert sized.values == list(range(count))
    assert max(map(sum, sized.batches)) <= 1_000_000


async def test_a_record_that_is_larger_than_the_bound_passes_alone(config: dict[str, Any], topic: str) -> None:
    large = numbered(topic, 4, payload=b" " + bytes(900_000))
    async with (
        DurableProducer(config) as producer,
        member(config, topic, topic, batch_bytes=100_000) as sized,
    ):
        await producer.send(large)
        await sized.until(lambda: len(sized.values) >= 4)
    assert sized.values == list(range(4))
    assert list(map(len, sized.batches)) == [1] * 4
