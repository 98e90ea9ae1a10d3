"""mainstem's own client, an independent one, and the gateway's topics API: all three on the same topics."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from time import monotonic
from typing import Any, cast

import fastavro
import pyarrow
import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from mainstem import Event, Misconfigured, Publisher, Rejected, Subscriber
from mainstem.codec.registry import Registry, value_subject
from mainstem.devstack import Stack
from mainstem.kafka.topics import Admin, TopicSpec

pytestmark = pytest.mark.stack

DEADLINE_S = 120
PARTITIONS = 3
WHEN = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ORDER: dict[str, Any] = {"order_id": "7", "total": Decimal("12.50"), "placed_at": WHEN}


def definition(topic: str) -> dict[str, Any]:
    domain, name, _ = topic.rsplit(".", 2)
    return {
        "type": "record",
        "namespace": domain,
        "name": name,
        "fields": [
            {"name": "order_id", "type": "string"},
            {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
            {"name": "placed_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        ],
    }


@dataclass(frozen=True)
class Orders:
    """A topic of the test's own with a registered schema, and the address of everything."""

    stack: Stack
    topic: str
    schema_id: int

    def publisher(self) -> Publisher:
        return Publisher(self.stack.bootstrap, registry=self.stack.registry_url, source="shop")

    def subscriber(self) -> Subscriber:
        return Subscriber(self.stack.bootstrap, registry=self.stack.registry_url)

    async def events(self, **where: Any) -> list[Event]:
        async with self.subscriber() as subscriber:
            return [event async for batch in subscriber.read(self.topic, **where) for event in batch]


@pytest.fixture
def orders(stack: Stack) -> Iterator[Orders]:
    topic = f"shop_{uuid.uuid4().hex[:10]}.order_placed.v1"
    admin = Admin({"bootstrap.servers": stack.bootstrap})
    admin.create([TopicSpec(topic, PARTITIONS)])
    with Registry(stack.registry_url) as registry:
        schema_id = registry.register(value_subject(topic), definition(topic))
    yield Orders(stack, topic, schema_id)
    admin.delete([topic])


async def test_events_are_read_as_arrow_columns(orders: Orders) -> None:
    async with orders.publisher() as publisher:
        for number in range(10):
            await publisher.publish(orders.topic, {**ORDER, "order_id": str(number)}, key=str(number))

    async with orders.subscriber() as subscriber:
        read = [columns async for columns in subscriber.read_columns(orders.topic, batch=4)]

    rows = [row for columns in read for row in pyarrow.record_batch(columns).to_pylist()]
    assert sorted(rows, key=lambda row: row["order_id"]) == [{**ORDER, "order_id": str(n)} for n in range(10)]
    places = [origin for columns in read for origin in columns.origins]
    assert len(set(places)) == 10
    assert all(columns.refused == [] and columns.deleted == [] for columns in read)


async def test_an_event_is_published_with_its_attributes_and_read_back_with_its_types(orders: Orders) -> None:
    before = datetime.now(UTC)
    async with orders.publisher() as publisher:
        given = {"order_id": "7", "total": "12.50", "placed_at": "2026-11-01T12:00:00.250Z"}
        made = await publisher.publish(orders.topic, given, key="7")
        await publisher.publish(orders.topic, ORDER, key="8", id="order:8", time=WHEN)

    first, second = sorted(await orders.events(), key=lambda event: event.key or "")
    assert dict(first.data) == dict(second.data) == ORDER
    assert (first.id, first.key, first.source) == (made, "7", "shop")
    assert first.type == orders.topic.removesuffix(".v1")
    assert first.time is not None
    assert before <= first.time <= datetime.now(UTC)
    assert (second.id, second.time) == ("order:8", WHEN)


async def test_a_bad_event_is_refused_with_its_fields_and_none_of_its_company_is_published(orders: Orders) -> None:
    good = Event(id="good", data=ORDER)
    bad = Event(id="bad", data={"order_id": 7, "total": "12.505", "placed_at": "yesterday"})
    async with orders.publisher() as publisher:
        with pytest.raises(Rejected) as refused:
            await publisher.publish_all(orders.topic, [good, bad])

    assert refused.value.code.number == "MS-104"
    fields = {wrong.field: wrong.expected for wrong in getattr(refused.value, "fields", ())}
    assert fields.keys() == {"order_id", "total", "placed_at"}
    assert "yesterday" not in str(refused.value)
    assert await orders.events() == []


async def test_a_topic_without_a_schema_is_not_published_to(orders: Orders) -> None:
    async with orders.publisher() as publisher:
        with pytest.raises(Misconfigured) as refused:
            await publisher.publish(f"{orders.topic[:-1]}2", ORDER)
    assert refused.value.code.number == "MS-207"


async def test_a_topic_is_read_from_a_time_and_from_offsets(orders: Orders) -> None:
    async with orders.publisher() as publisher:
        await publisher.publish_all(orders.topic, [Event(id=f"early{n}", data=ORDER, key="k") for n in range(3)])
        assert len(await orders.events()) == 3  # takes longer than the millisecond that Kafka's timestamps are exact to
        middle = datetime.now(UTC)
        await publisher.publish_all(orders.topic, [Event(id=f"late{n}", data=ORDER, key="k") for n in range(2)])

    everything = await orders.events()
    origin = everything[0].origin
    assert origin is not None
    assert [event.id for event in everything] == ["early0", "early1", "early2", "late0", "late1"]
    assert [event.id for event in await orders.events(since=middle)] == ["late0", "late1"]
    assert [event.id for event in await orders.events(offsets={origin.partition: 2})] == ["early2", "late0", "late1"]
    assert await orders.events(offsets={(origin.partition + 1) % PARTITIONS: 0}) == []


async def follow(orders: Orders, group: str, count: int) -> list[str]:
    """Follows until it has so many, asks for one batch more so that they count as read, and leaves."""
    found: list[str] = []
    async with orders.subscriber() as subscriber, asyncio.timeout(DEADLINE_S):
        following = subscriber.follow([orders.topic], group=group)
        async for batch in following:
            found += [event.id for event in batch]
            if len(found) >= count:
                break
        await cast(AsyncIterator[Any], following).aclose()  # type: ignore[attr-defined]
    return found


async def test_a_group_goes_on_where_it_stopped_and_what_was_not_finished_comes_again(orders: Orders) -> None:
    group = f"dashboard-{uuid.uuid4().hex}"
    async with orders.publisher() as publisher:
        for n in range(4):
            await publisher.publish(orders.topic, ORDER, key="k", id=f"e{n}")
        assert await first_batches(orders, group, 2) == [["e0", "e1"], ["e2", "e3"]]
        await publisher.publish(orders.topic, ORDER, key="k", id="e4")

    again = await follow(orders, group, 3)

    assert again == ["e2", "e3", "e4"]  # the second batch was being worked on when its reader left
    assert await follow(orders, f"{group}-other", 5) == ["e0", "e1", "e2", "e3", "e4"]


async def first_batches(orders: Orders, group: str, size: int) -> list[list[str]]:
    """Two batches; the second is not finished."""
    found: list[list[str]] = []
    async with orders.subscriber() as subscriber, asyncio.timeout(DEADLINE_S):
        following = subscriber.follow([orders.topic], group=group, batch=size)
        async for batch in following:
            found.append([event.id for event in batch])
            if len(found) == 2:
                break
        await cast(AsyncIterator[Any], following).aclose()  # type: ignore[attr-defined]
    return found


class Independent:
    """Somebody else's program: Confluent's client and its serializers, which know nothing of mainstem."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._registry = SchemaRegistryClient({"url": orders.stack.registry_url})
        self._context = SerializationContext(orders.topic, MessageField.VALUE)

    def close(self) -> None:
        self._registry.close()

    def produce(self, value: dict[str, Any], key: bytes) -> None:
        schema = json.dumps(definition(self._orders.topic))
        serialize = AvroSerializer(self._registry, schema, conf={"auto.register.schemas": False})
        self.produce_raw(cast(bytes, serialize(value, self._context)), key)

    def produce_raw(self, value: bytes, key: bytes, headers: list[tuple[str, Any]] | None = None) -> None:
        producer = Producer({"bootstrap.servers": self._orders.stack.bootstrap})
        producer.produce(self._orders.topic, value, key, headers=headers or [])
        assert producer.flush(DEADLINE_S) == 0

    def consume(self, count: int) -> list[tuple[Message, Any]]:
        deserialize = AvroDeserializer(self._registry)
        consumer = Consumer(
            {
                "bootstrap.servers": self._orders.stack.bootstrap,
                "group.id": uuid.uuid4().hex,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        consumer.subscribe([self._orders.topic])
        found: list[tuple[Message, Any]] = []
        deadline = monotonic() + DEADLINE_S
        while len(found) < count and monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append((message, deserialize(cast(bytes, message.value()), self._context)))
        consumer.close()
        return found


@pytest.fixture
def independent(orders: Orders) -> Iterator[Independent]:
    with closing(Independent(orders)) as client:
        yield client


async def test_an_independent_client_reads_what_mainstem_publishes(orders: Orders, independent: Independent) -> None:
    async with orders.publisher() as publisher:
        await publisher.publish(orders.topic, ORDER, key="7", id="order:7", time=WHEN)

    ((message, value),) = await asyncio.to_thread(independent.consume, 1)

    assert value == ORDER
    headers = dict(cast(list[tuple[str, bytes]], message.headers()))
    assert message.key() == b"7"
    assert headers["ce_id"] == b"order:7"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_source"] == b"shop"
    assert headers["ce_type"].decode() == orders.topic.removesuffix(".v1")
    assert headers["ce_time"] == b"2026-11-01T12:00:00.250000Z"
    assert headers["content-type"] == b"application/avro"


async def test_mainstem_reads_what_an_independent_client_publishes(orders: Orders, independent: Independent) -> None:
    await asyncio.to_thread(independent.produce, ORDER, b"9")

    (event,) = await orders.events()

    assert dict(event.data) == ORDER
    assert (event.key, event.id) == ("9", f"kafka:{event.origin}")


async def test_a_schema_id_in_a_header_is_read_as_well(orders: Orders, independent: Independent) -> None:
    bare = BytesIO()
    fastavro.schemaless_writer(bare, fastavro.parse_schema(definition(orders.topic)), ORDER)
    header = ("__value_schema_id", b"\x00" + orders.schema_id.to_bytes(4, "big"))
    await asyncio.to_thread(independent.produce_raw, bare.getvalue(), b"h", [header])

    (event,) = await orders.events()

    assert dict(event.data) == ORDER


async def test_what_does_not_decode_is_handed_out_and_refused_when_it_is_read(
    orders: Orders, independent: Independent
) -> None:
    await asyncio.to_thread(independent.produce_raw, b"not avro", b"x")
    async with orders.publisher() as publisher:
        await publisher.publish(orders.topic, ORDER, key="x", id="good")

    first, second = await orders.events()  # in any order: the two clients may hash the key to other partitions
    bad, good = (second, first) if first.id == "good" else (first, second)

    with pytest.raises(Rejected) as refused:
        _ = bad.data
    assert refused.value.code.number == "MS-101"
    assert dict(good.data) == ORDER
