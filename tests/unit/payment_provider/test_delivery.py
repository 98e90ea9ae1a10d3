"""The stand-in behaves like a real provider towards a receiver that does not."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from connectors.webhook import WebhookSource
from mainstem import Request
from mainstem.testing.payment_provider import Basket, DeliverySummary, PaymentProvider, sign

SECRET = "whsec_dGhlIHNlY3JldCB0aGF0IGlzIGFjdGl2ZSBub3c="
QUICK = PaymentProvider(first_retry_s=0.001, longest_retry_s=0.01, give_up_after_s=5)

Behaviour = Callable[[str, int], web.StreamResponse | Awaitable[web.StreamResponse]]


class Receiver:
    """A server that answers as `behave(webhook_id, attempt)` says and keeps what it got."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.arrived_s: list[float] = []
        self.attempts: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.behave: Behaviour = lambda *_: web.Response(status=204)
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Request("POST", request.path, headers, await request.read()))
        self.arrived_s.append(time.monotonic())
        self.attempts[headers["webhook-id"]] += 1
        answer = self.behave(headers["webhook-id"], self.attempts[headers["webhook-id"]])
        answered = await answer if isinstance(answer, Awaitable) else answer
        self.at_once -= 1
        return answered


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver


def some_baskets(count: int) -> list[Basket]:
    at = datetime(2017, 1, 2, tzinfo=UTC)
    line: dict[str, Any] = {"product_id": "1", "quantity": 1, "sales_value": "5.12"}
    return [Basket(str(n), "7", "443", at + timedelta(seconds=n), [line]) for n in range(count)]


async def deliver(
    receiver: Receiver, count: int = 1, *, provider: PaymentProvider = QUICK, **options: Any
) -> DeliverySummary:
    return await provider.deliver(some_baskets(count), url=receiver.url, secret=SECRET, **options)


async def test_each_basket_is_delivered_once(receiver: Receiver) -> None:
    told: list[str] = []

    summary = await deliver(receiver, 100, on_delivered=lambda basket: told.append(basket.basket_id))

    assert summary == DeliverySummary(delivered=100, retried=0, refused=0)
    assert receiver.attempts == Counter({f"msg_{n}": 1 for n in range(100)})
    assert sorted(told, key=int) == [str(n) for n in range(100)]


async def test_an_independent_verifier_accepts_what_it_sends(receiver: Receiver) -> None:
    await deliver(receiver, 3)

    for request in receiver.requests:
        payload = Webhook(SECRET).verify(request.body, dict(request.headers))
        assert payload["data"]["lines"][0]["sales_value"] == "5.12"


async def test_the_webhook_connector_accepts_what_it_sends(receiver: Receiver) -> None:
    await deliver(receiver)

    source = WebhookSource.model_validate({"verify": "standard-webhooks", "secrets": [SECRET], "key": "basket_id"})
    (event,) = await source.receive(receiver.requests[0])

    assert (event.id, event.key) == ("msg_0", "0")


def test_it_signs_exactly_as_the_reference_does() -> None:
    sent_at = datetime(2022, 11, 3, 20, 26, 10, tzinfo=UTC)
    body = '{"test": 2432232314, "é": 1}'

    ours = sign(SECRET, "msg_1", int(sent_at.timestamp()), body.encode())

    assert ours["webhook-signature"] == Webhook(SECRET).sign("msg_1", sent_at, body)


@pytest.mark.parametrize("status", [500, 503, 429, 408, 302])
async def test_what_is_not_taken_is_sent_again_under_the_same_id(receiver: Receiver, status: int) -> None:
    receiver.behave = lambda _, attempt: web.Response(status=status if attempt < 6 else 200)

    summary = await deliver(receiver, 2)

    assert summary == DeliverySummary(delivered=2, retried=10, refused=0)
    assert receiver.attempts == Counter({"msg_0": 6, "msg_1": 6})
    assert len({request.body for request in receiver.requests}) == 2


async def test_a_lost_answer_is_sent_again(receiver: Receiver) -> None:
    async def drop_the_first(_: str, attempt: int) -> web.StreamResponse:
        if attempt == 1:
            raise ConnectionResetError
        return web.Response()

    receiver.behave = drop_the_first

    assert await deliver(receiver, 3) == DeliverySummary(delivered=3, retried=3, refused=0)


async def test_a_slow_answer_counts_as_none(receiver: Receiver) -> None:
    never = asyncio.Event()

    async def hang_at_first(_: str, attempt: int) -> web.StreamResponse:
        if attempt == 1:
            await never.wait()
        return web.Response()

    receiver.behave = hang_at_first

    impatient = PaymentProvider(first_retry_s=0.001, timeout_s=0.2)
    summary = await deliver(receiver, provider=impatient)
    never.set()

    assert (summary.delivered, summary.refused) == (1, 0)
    assert summary.retried >= 1  # on a slow machine a quick answer may come too late as well


async def test_a_receiver_that_is_not_there_is_tried_until_patience_ends() -> None:
    impatient = PaymentProvider(first_retry_s=0.01, longest_retry_s=0.02, give_up_after_s=0.1)

    summary = await impatient.deliver(some_baskets(2), url="http://127.0.0.1:1/hook", secret=SECRET)

    assert (summary.delivered, summary.refused) == (0, 2)
    assert summary.retried > 2


async def test_a_request_that_the_receiver_blames_is_not_sent_for_ever(receiver: Receiver) -> None:
    receiver.behave = lambda webhook_id, _: web.Response(status=422 if webhook_id == "msg_1" else 200)

    assert await deliver(receiver, 3) == DeliverySummary(delivered=2, retried=2, refused=1)


async def test_gone_ends_the_delivery(receiver: Receiver) -> None:
    receiver.behave = lambda webhook_id, _: web.Response(status=410 if webhook_id == "msg_2" else 200)

    assert await deliver(receiver, 50, in_flight=1) == DeliverySummary(delivered=2, retried=0, refused=48)
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_obeyed(receiver: Receiver, as_date: bool) -> None:
    def answer(_: str, attempt: int) -> web.StreamResponse:
        after = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if as_date else "1"
        return web.Response(status=200) if attempt > 1 else web.Response(status=503, headers={"retry-after": after})

    receiver.behave = answer

    assert await deliver(receiver) == DeliverySummary(delivered=1, retried=1, refused=0)
    assert receiver.arrived_s[1] - receiver.arrived_s[0] >= 0.95


async def test_a_retry_after_beyond_its_patience_is_given_up_at_once(receiver: Receiver) -> None:
    receiver.behave = lambda *_: web.Response(status=503, headers={"retry-after": "86400"})

    assert await deliver(receiver) == DeliverySummary(delivered=0, retried=0, refused=1)


async def test_the_rate_is_kept(receiver: Receiver) -> None:
    began_s = time.monotonic()

    await deliver(receiver, 40, rate=200)

    assert time.monotonic() - began_s >= 39 / 200


async def test_no_more_are_in_flight_than_allowed(receiver: Receiver) -> None:
    full = asyncio.Event()

    async def wait_until_full(*_: Any) -> web.StreamResponse:
        if receiver.at_once == 4:
            full.set()
        await asyncio.wait_for(full.wait(), 60)
        return web.Response()

    receiver.behave = wait_until_full

    assert (await deliver(receiver, 20, in_flight=4)).delivered == 20
    assert receiver.most_at_once == 4
