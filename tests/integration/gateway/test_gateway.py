"""The gateway on a real broker and registry."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from mainstem.codec.avro import Codec
from mainstem.codec.message import read_event
from mainstem.codec.registry import Registry, value_subject
from mainstem.devstack import Stack
from mainstem.errors import TOPIC_MISSING, Misconfigured
from mainstem.event import Event
from mainstem.flow.retry import RetryPolicy
from mainstem.gateway import Gateway
from mainstem.ingest import watch as watching
from mainstem.ingest.intake import Intake
from mainstem.ingest.once import Once
from mainstem.ingest.push import PushIngest
from mainstem.ingest.tail import tail_ids
from mainstem.ingest.watch import Watch
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.observe.board import Board, State
from mainstem.project.gateway import GatewaySettings
from mainstem.sdk.source import PushSource, Request

pytestmark = pytest.mark.stack
DEADLINE_S = 120
NOTE = {"type": "record", "name": "note", "namespace": "test", "fields": [{"name": "text", "type": "string"}]}


class Notes(PushSource):
    """Takes unsigned JSON: `webhook-id` is the id, the body the data."""

    async def receive(self, request: Request) -> list[Event]:
        return [Event(id=request.headers["webhook-id"], key="k", data=json.loads(request.body))]


@dataclass
class Broker:
    """What a test's topic is served with."""

    config: dict[str, Any]
    codec: Codec
    topic: str

    def events(self) -> list[Event]:
        decoder = self.codec.decoder(self.topic)
        with reading(self.config) as reader:
            messages = [m for ms in reader.read(reader.whole([self.topic])) for m in ms]
        return [read_event(message, decoder) for message in messages]

    def ids(self) -> list[str]:
        return [event.id for event in self.events()]


@dataclass
class Served:
    url: str
    topic: str
    http: aiohttp.ClientSession
    board: Board

    async def hook(self, webhook_id: str, text: str = "hello") -> int:
        headers = {"webhook-id": webhook_id}
        async with self.http.post(f"{self.url}/webhooks/test/notes", json={"text": text}, headers=headers) as answer:
            return answer.status

    async def publish(self, events: Any) -> tuple[int, Any]:
        async with self.http.post(f"{self.url}/api/v1/topics/{self.topic}/events", json=events) as answer:
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
def broker(stack: Stack) -> Iterator[Broker]:
    topic = f"test.t{uuid.uuid4().hex}.v1"
    config = {"bootstrap.servers": stack.bootstrap}
    Admin(config).create([TopicSpec(topic, 3)])
    registry = Registry(stack.registry_url)
    registry.register(value_subject(topic), NOTE)
    yield Broker(config, Codec(registry, {topic: NOTE}), topic)
    registry.close()


@contextlib.asynccontextmanager
async def serving(broker: Broker, bootstrap: str | None = None, *, within_s: float = 5.0) -> AsyncIterator[Served]:
    """A gateway whose producer finds Kafka at `bootstrap`; its window is filled from the topic's end."""
    config = {"bootstrap.servers": bootstrap or broker.config["bootstrap.servers"], "reconnect.backoff.max.ms": 100}
    board = Board()
    once = Once(100, await asyncio.to_thread(tail_ids, broker.config, broker.topic, 100))
    writer = EventWriter(broker.codec.encoder(broker.topic), broker.codec.coercer(broker.topic))

    async def probe() -> None:
        if broker.topic not in await asyncio.to_thread(Admin(config).topics):
            raise Misconfigured(f"there is no topic {broker.topic}", code=TOPIC_MISSING)

    async with (
        DurableProducer(config) as producer,
        Watch(board, "test.notes", probe) as watch,
        aiohttp.ClientSession() as http,
    ):
        intake = Intake(writer, producer, once, durable_within_s=within_s)
        sources = {("test", "notes"): PushIngest("test", "notes", Notes(), intake, watch)}
        settings = GatewaySettings(port=0)
        async with Gateway(settings, board, sources=sources, topics={broker.topic: intake}) as gateway:
            yield Served(gateway.url, broker.topic, http, board)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)


async def test_what_is_acknowledged_can_be_read(broker: Broker) -> None:
    async with serving(broker) as served:
        assert await served.hook("m1", "hello") == 200

        (event,) = broker.events()
        assert (event.id, event.key, event.data) == ("test.notes:m1", "k", {"text": "hello"})
        assert event.type == broker.topic.removesuffix(".v1")


async def test_copies_at_the_same_time_are_published_once(broker: Broker) -> None:
    async with serving(broker) as served:
        statuses = await asyncio.gather(*[served.hook(f"m{n % 5}") for n in range(50)])

        assert set(statuses) == {200}
        assert sorted(broker.ids()) == [f"test.notes:m{n}" for n in range(5)]


async def test_a_gateway_that_starts_again_knows_what_was_published(broker: Broker) -> None:
    async with serving(broker) as served:
        assert await served.hook("m1") == 200

    async with serving(broker) as served:
        assert await served.hook("m1") == 200
        assert await served.hook("m2") == 200

    assert sorted(broker.ids()) == ["test.notes:m1", "test.notes:m2"]


async def test_events_with_a_key_keep_their_order_and_those_without_need_none(broker: Broker) -> None:
    async with serving(broker) as served:
        events = [{"id": f"e{n}", "key": "same", "data": {"text": str(n)}} for n in range(20)]
        assert (await served.publish(events))[0] == 200
        assert (await served.publish({"id": "keyless", "data": {"text": "x"}}))[0] == 200

        found = broker.events()
        keyed = [event for event in found if event.key == "same"]
        assert [event.id for event in keyed] == [f"e{n}" for n in range(20)]
        partitions = {event.origin and event.origin.partition for event in keyed}
        assert len(partitions) == 1
        assert None not in partitions
        assert [event.id for event in found if event.key is None] == ["keyless"]


async def test_a_wrong_field_publishes_nothing(broker: Broker) -> None:
    async with serving(broker) as served:
        status, problem = await served.publish([{"data": {"text": "good"}}, {"data": {"text": None}}])

        assert (status, problem["fields"]) == (422, [{"field": "[1].data.text", "expected": "string"}])
        assert broker.events() == []


async def test_while_kafka_is_down_nothing_is_acknowledged_and_then_it_goes_on(
    broker: Broker, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLICY", RetryPolicy(first_s=0.05, max_s=0.1))
    monkeypatch.setattr("mainstem.kafka.topics.TIMEOUT_S", 0.5)
    async with serving(broker, f"127.0.0.1:{free_port}", within_s=0.3) as served:
        assert await served.hook("m1") == 503
        assert broker.events() == []
        assert served.board.parts()["test.notes"].state is State.WAITING

        async with door(free_port, broker.config["bootstrap.servers"]):
            await until(lambda: served.board.parts()["test.notes"].state is State.RUNNING)
            async with asyncio.timeout(DEADLINE_S):
                while await served.hook("m1") != 200:
                    pass

        # The refused copies may have become durable after all: the stream behind drops them by their id.
        assert set(broker.ids()) == {"test.notes:m1"}


@contextlib.asynccontextmanager
async def door(port: int, bootstrap: str) -> AsyncIterator[None]:
    """Opens a port that leads to the broker."""
    host, _, behind = bootstrap.rpartition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(behind))
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(through, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
