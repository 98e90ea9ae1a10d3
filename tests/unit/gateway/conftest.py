"""A gateway on a real socket, with Kafka's place taken by a list: what is durable is what the list holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mainstem.codec.avro import Encoder
from mainstem.codec.coerce import Coercer
from mainstem.errors import MainstemError
from mainstem.event import Event
from mainstem.gateway import Gateway
from mainstem.ingest.intake import Intake
from mainstem.ingest.once import Once
from mainstem.ingest.push import PushIngest
from mainstem.ingest.watch import Watch
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.record import Record
from mainstem.observe.board import Board
from mainstem.project.gateway import GatewaySettings
from mainstem.sdk.source import PushSource, Request

TOPIC = "raw.till.basket.v1"
SCHEMA = Path(__file__).parents[3] / "schemas/raw/till/basket.v1.avsc"


class Till(PushSource):
    """Takes unsigned JSON: `webhook-id` is the id, the body the data."""

    async def receive(self, request: Request) -> list[Event]:
        return [Event(id=request.headers["webhook-id"], data=json.loads(request.body))]


@dataclass
class Broker:
    """What is durable. `held` makes `send` wait, `error` makes it fail."""

    durable: list[Record] = field(default_factory=list)
    error: MainstemError | None = None
    asked: int = 0
    held: asyncio.Event | None = None

    async def send(self, records: Sequence[Record]) -> None:
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        self.durable.extend(records)


@dataclass
class Served:
    """A running gateway and what it is made of."""

    gateway: Gateway
    http: aiohttp.ClientSession
    broker: Broker
    board: Board
    once: Once

    async def post(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.post(self.gateway.url + path, **options) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.get(self.gateway.url + path, **options) as answer:
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
def settings() -> GatewaySettings:
    """Override it in a test's own parametrisation to serve with others."""
    return GatewaySettings(port=0, max_body_bytes=20_000, body_timeout_s=0.3)


@pytest.fixture
def push() -> PushSource:
    return Till()


@pytest.fixture
async def served(settings: GatewaySettings, push: PushSource) -> AsyncIterator[Served]:
    board, broker, once = Board(), Broker(), Once(1000)
    definition = json.loads(SCHEMA.read_text())
    writer = EventWriter(Encoder(TOPIC, definition, 7), Coercer(definition))
    intake = Intake(writer, broker, once, durable_within_s=0.5)

    async def probe() -> None:
        if broker.error is not None:
            raise broker.error

    async with Watch(board, "payments.till", probe) as watch, aiohttp.ClientSession() as http:
        ingest = PushIngest("payments", "till", push, intake, watch)
        sources = {("payments", "till"): ingest}
        async with Gateway(settings, board, sources=sources, topics={TOPIC: intake}) as gateway:
            yield Served(gateway, http, broker, board, once)


@pytest.fixture
def basket() -> dict[str, Any]:
    """A basket that fits the schema, in JSON's types."""
    line = {"product_id": "p1", "quantity": 2, "sales_value": "5.12"}
    discounts = {"retail_disc": "0.17", "coupon_disc": "0.00", "coupon_match_disc": "0.00"}
    return {
        "basket_id": "b1",
        "household_id": "h1",
        "store_id": "s1",
        "purchased_at": "2017-01-02T05:05:54Z",
        "lines": [{**line, **discounts}],
    }
