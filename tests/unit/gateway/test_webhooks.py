from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from connectors.webhook import WebhookSource
from mainstem.codec.headers import as_dict
from mainstem.errors import KAFKA_UNREACHABLE, TOPIC_MISSING, Misconfigured, Unreachable
from mainstem.event import Event
from mainstem.observe.board import State
from mainstem.sdk.secret import Secret
from mainstem.sdk.source import PushSource, Request
from tests.unit.gateway.conftest import Served

PATH = "/webhooks/payments/till"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


def signed(basket: dict[str, Any], *, webhook_id: str = "m1", age_s: float = 0, secret: str = SECRET) -> dict[str, Any]:
    """A request's options, signed by the independent reference implementation."""
    sent_at = datetime.fromtimestamp(int(time.time() - age_s), UTC)
    body = json.dumps({"type": "till.basket", "timestamp": "2017-01-02T05:05:54Z", "data": basket})
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, sent_at, body),
    }
    return {"data": body, "headers": headers}


async def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0)


@pytest.fixture
def push() -> PushSource:
    return WebhookSource(verify="standard-webhooks", secrets=(Secret(SECRET),), key="basket_id", time="purchased_at")


async def test_a_signed_basket_is_durable_before_it_is_acknowledged(served: Served, basket: dict[str, Any]) -> None:
    status, receipt = await served.post(PATH, **signed(basket))

    assert (status, receipt) == (200, {"ids": ["payments.till:m1"], "duplicates": []})
    (record,) = served.broker.durable
    headers = as_dict(record.headers)
    assert (record.topic, record.key, (record.value or b"")[:5]) == ("raw.till.basket.v1", b"b1", b"\0\0\0\0\7")
    assert headers["ce_id"] == b"payments.till:m1"
    assert headers["ce_type"] == b"raw.till.basket"
    assert headers["ce_source"] == b"payments.till"
    assert headers["ce_time"] == b"2017-01-02T05:05:54Z"
    assert headers["traceparent"].startswith(b"00-")
    assert "mainstem_ingested_at" in headers


async def test_nothing_is_acknowledged_before_kafka_has_it(served: Served, basket: dict[str, Any]) -> None:
    served.broker.held = asyncio.Event()

    answering = asyncio.create_task(served.post(PATH, **signed(basket)))
    await until(lambda: served.broker.asked == 1)
    assert not answering.done()
    served.broker.held.set()

    assert (await answering)[0] == 200


@pytest.mark.parametrize(
    "spoil",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-id": "another"},
        {"webhook-timestamp": "1"},
    ],
)
async def test_a_request_that_is_not_signed_for_what_it_says_is_refused(
    served: Served, basket: dict[str, Any], spoil: dict[str, str]
) -> None:
    request = signed(basket)
    request["headers"] |= spoil

    status, problem = await served.post(PATH, **request)

    assert (status, problem["code"]) == (401, "MS-404")
    assert served.broker.durable == []


@pytest.mark.parametrize("age_s", [400, -400])
async def test_an_old_or_future_signature_is_refused(served: Served, basket: dict[str, Any], age_s: float) -> None:
    assert (await served.post(PATH, **signed(basket, age_s=age_s)))[0] == 401
    assert served.broker.durable == []


async def test_a_signature_with_another_secret_is_refused(served: Served, basket: dict[str, Any]) -> None:
    assert (await served.post(PATH, **signed(basket, secret=OTHER_SECRET)))[0] == 401


async def test_an_unsigned_request_is_refused(served: Served) -> None:
    assert (await served.post(PATH, data=b"{}"))[0] == 401


async def test_a_replayed_request_is_answered_and_published_once(served: Served, basket: dict[str, Any]) -> None:
    request = signed(basket)
    await served.post(PATH, **request)

    status, receipt = await served.post(PATH, **request)

    assert (status, receipt["duplicates"]) == (200, ["payments.till:m1"])
    assert len(served.broker.durable) == 1


async def test_a_copy_that_arrives_meanwhile_waits_for_the_first(served: Served, basket: dict[str, Any]) -> None:
    served.broker.held = asyncio.Event()
    first = asyncio.create_task(served.post(PATH, **signed(basket)))
    await until(lambda: served.broker.asked == 1)
    second = asyncio.create_task(served.post(PATH, **signed(basket)))
    await until(lambda: served.gateway._under_way == 2)
    assert not second.done()

    served.broker.held.set()

    assert [(await first)[0], (await second)[0]] == [200, 200]
    assert (await second)[1]["duplicates"] == ["payments.till:m1"]
    assert len(served.broker.durable) == 1


async def test_a_copy_fails_with_the_first_and_the_next_one_is_published(
    served: Served, basket: dict[str, Any]
) -> None:
    served.broker.held = asyncio.Event()
    first = asyncio.create_task(served.post(PATH, **signed(basket)))
    await until(lambda: served.broker.asked == 1)
    second = asyncio.create_task(served.post(PATH, **signed(basket)))
    await until(lambda: served.gateway._under_way == 2)
    served.broker.error = Unreachable("down", code=KAFKA_UNREACHABLE)
    served.broker.held.set()
    assert [(await first)[0], (await second)[0]] == [503, 503]

    served.broker.error = None
    status, receipt = await served.post(PATH, **signed(basket))

    assert (status, receipt["duplicates"], len(served.broker.durable)) == (200, [], 1)


async def test_kafka_that_does_not_confirm_in_time_means_503_and_an_unknown_id(
    served: Served, basket: dict[str, Any]
) -> None:
    served.broker.held = asyncio.Event()

    async with served.http.post(served.gateway.url + PATH, **signed(basket)) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.content_type == "application/problem+json"
        assert (await answer.json(content_type=None))["code"] == "MS-301"
    assert not served.once.is_known("payments.till:m1")
    assert served.once.under_way("payments.till:m1") is None


async def test_a_missing_topic_is_not_the_senders_fault(served: Served, basket: dict[str, Any]) -> None:
    served.broker.error = Misconfigured("there is no topic", code=TOPIC_MISSING)

    status, problem = await served.post(PATH, **signed(basket))

    assert (status, problem["code"]) == (503, "MS-206")
    assert served.board.parts()["payments.till"].state is State.PAUSED


async def test_a_source_that_failed_is_ready_again_without_a_request(
    served: Served, basket: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstem.ingest.watch.RetryPolicy.pause", lambda *_: 0.0)
    served.broker.error = Unreachable("down", code=KAFKA_UNREACHABLE)
    await served.post(PATH, **signed(basket))
    assert (await served.get("/readyz"))[0] == 503

    served.broker.error = None

    await until(served.board.is_ready)


async def test_a_body_that_is_not_json_is_refused(served: Served) -> None:
    body, stamp = "no json", datetime.now(UTC)
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(stamp.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("m1", stamp, body),
    }

    status, problem = await served.post(PATH, data=body, headers=headers)

    assert (status, problem["detail"]) == (400, "the body is not JSON")


async def test_a_wrong_field_is_named_with_what_was_expected(served: Served, basket: dict[str, Any]) -> None:
    basket["lines"][0]["quantity"] = "two"

    status, problem = await served.post(PATH, **signed(basket))

    assert (status, problem["code"]) == (422, "MS-104")
    assert [wrong["field"] for wrong in problem["fields"]] == ["lines[0].quantity"]
    assert "two" not in json.dumps(problem)
    assert served.broker.durable == []


async def test_a_refused_request_can_be_mended_and_sent_again_under_its_id(
    served: Served, basket: dict[str, Any]
) -> None:
    wrong = {**basket, "store_id": []}
    assert (await served.post(PATH, **signed(wrong)))[0] == 422

    assert (await served.post(PATH, **signed(basket)))[0] == 200


async def test_an_unknown_source_is_not_found_and_another_method_not_allowed(served: Served) -> None:
    assert (await served.post("/webhooks/payments/unknown"))[0] == 404
    assert (await served.get("/webhooks/payments"))[0] == 404
    async with served.http.get(served.gateway.url + PATH) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


class Broken(PushSource):
    async def receive(self, request: Request) -> list[Event]:
        raise KeyError(request.body)


class TestABrokenSource:
    @pytest.fixture
    def push(self) -> PushSource:
        return Broken()

    async def test_the_caller_learns_an_id_and_the_log_where_it_happened(
        self, served: Served, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, problem = await served.post(PATH, data=b"4111 1111")

        assert (status, problem["code"]) == (500, "MS-212")
        assert "Traceback" not in json.dumps(problem)
        assert "receive" not in json.dumps(problem)
        logged = "".join(capsys.readouterr())
        assert problem["trace_id"] in logged
        assert "in receive" in logged
        assert logged.count("request failed") == 1
        assert "4111" not in logged + json.dumps(problem)
