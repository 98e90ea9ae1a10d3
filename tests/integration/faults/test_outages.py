"""A dependency goes away while the backbone runs, and comes back: what was acknowledged is booked once."""

from __future__ import annotations

import asyncio
import copy
import json
import time
import urllib.error
import urllib.request
from functools import partial

import pytest

from mainstem.codec import headers as h
from mainstem.codec.avro import Codec
from mainstem.event import Event
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.testing.payment_provider import sign
from tests.backbone_process import until
from tests.demo_copy import TILL_SECRET
from tests.integration.faults.conftest import Company, basket

pytestmark = pytest.mark.stack

KAFKA_GIVES_UP_S = 5
"""How long the gateway lets a sender wait for Kafka."""


async def test_a_database_that_is_away_is_waited_for_and_loses_nothing(running: Company) -> None:
    backbone = running.backbone
    first = await running.sell(20)
    await asyncio.to_thread(until, lambda: running.booked() >= set(first))
    running.doors.postgres.refuse()
    during = await running.sell(30)
    await asyncio.to_thread(until, lambda: backbone.says(running.sink, "waiting", "MS-303"), what=backbone.parts)
    assert backbone.get("/readyz")[0] == 503
    assert backbone.get("/healthz")[0] == 200
    assert (running.runs(running.sink), running.runs(running.till)) == (0, 1)

    running.doors.postgres.resume()

    await asyncio.to_thread(until, lambda: running.booked() >= {*first, *during}, what=backbone.parts)
    await asyncio.to_thread(backbone.until_ready)
    assert running.runs(running.sink) == 1
    assert len(during) == 30
    assert running.dead_letters() == 0


def has_moved(running: Company, sending: asyncio.Task[list[str]], before: int) -> bool:
    return sending.done() or len(running.booked()) > before


async def test_a_database_whose_connections_are_cut_costs_nothing(running: Company) -> None:
    sending = asyncio.create_task(running.sell(300))
    for _ in range(3):
        before = len(running.booked())
        await asyncio.to_thread(until, partial(has_moved, running, sending, before))
        running.doors.postgres.cut()
    sold = await sending

    await asyncio.to_thread(until, lambda: running.booked() >= set(sold), what=running.backbone.parts)
    assert len(sold) == 300
    assert running.dead_letters() == 0


def refused_with(running: Company) -> tuple[int, str | None]:
    """The answer to one webhook, which is signed as it should be: its status and Retry-After."""
    sold = basket()
    body = sold.body()
    headers = sign(TILL_SECRET, sold.webhook_id, int(time.time()), body)
    url = f"{running.backbone.url}/webhooks/{running.demo.integration}/till"
    request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own gateway
            return int(answer.status), None
    except urllib.error.HTTPError as refused:
        with refused:
            assert json.loads(refused.read())["code"] == "MS-301"
            return refused.code, refused.headers.get("Retry-After")


def payment_ids(running: Company, topic: str) -> list[str]:
    with running.demo.services() as services, reading(services.config) as reader:
        return [(m.key() or b"").decode() for batch in reader.read(reader.whole([topic])) for m in batch]


async def test_while_kafka_is_cut_off_no_webhook_is_acknowledged_and_each_that_is_counts_once(running: Company) -> None:
    backbone = running.backbone
    sending = asyncio.create_task(running.sell(400))
    await asyncio.to_thread(until, lambda: len(running.booked()) > 0)
    running.doors.kafka.refuse()
    status, retry_after = await asyncio.to_thread(refused_with, running)
    assert (status, int(retry_after or 0) > 0) == (503, True)
    await asyncio.to_thread(until, lambda: backbone.says(running.till, "waiting", "MS-301"), what=backbone.parts)
    assert backbone.get("/readyz")[0] == 503

    running.doors.kafka.resume()

    sold = await sending
    assert len(sold) == 400
    await asyncio.to_thread(until, lambda: running.booked() >= set(sold), what=backbone.parts)
    await asyncio.to_thread(backbone.until_ready)
    settled = payment_ids(running, running.demo.payments)
    assert {payment: settled.count(payment) for payment in sold} == dict.fromkeys(sold, 1)
    assert running.dead_letters() == 0


async def test_a_schema_that_nobody_can_look_up_makes_its_record_wait_and_the_known_ones_flow(running: Company) -> None:
    """The record is the first with a newer version of the schema, and the registry does not answer."""
    demo, backbone = running.demo, running.backbone
    with demo.services() as services:
        newer = copy.deepcopy(dict(services.project.schemas[demo.baskets].definition))
        newer["fields"].append({"name": "till_no", "type": ["null", "int"], "default": None})
        services.registry.register(f"{demo.baskets}-value", newer)
        encoder = Codec(services.registry, {demo.baskets: newer}).encoder(demo.baskets)
        sold = basket()
        data = {**json.loads(sold.body())["data"], "purchased_at": sold.purchased_at}
        event = Event(id=f"new:{sold.basket_id}", type="raw.till.basket", source="test", data=data)
        event = event.replace(data=services.codec.coercer(demo.baskets).coerce(data))
        record = Record(demo.baskets, sold.basket_id.encode(), encoder.encode(event.data), h.write_headers(event))
        running.doors.registry.refuse()
        known = await running.sell(20)
        await asyncio.to_thread(until, lambda: running.booked() >= set(known), what=backbone.parts)
        async with DurableProducer(services.config) as producer:
            await producer.send([record])

    await asyncio.to_thread(until, lambda: backbone.says(demo.stream, "waiting", "MS-302"), what=backbone.parts)
    assert running.runs(demo.stream) == 0

    running.doors.registry.resume()

    await asyncio.to_thread(until, lambda: sold.basket_id in running.booked(), what=backbone.parts)
    await asyncio.to_thread(backbone.until_ready)
    assert payment_ids(running, f"{demo.stream}.dlq") == []
