"""The webhook source keeps the contract of push sources, against an independent signer."""

from __future__ import annotations

import json
import pickle
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from connectors.webhook import WebhookSource
from connectors.webhook.signature import Verifier
from mainstem import Request, RequestRefused
from mainstem.testing.payment_provider import sign
from mainstem.testing.source_contract import FOREIGN_SECRET, NEXT_SECRET, SECRET, PushSourceContract

PAID = {"basket_id": "31198892591", "store_id": 443, "purchased_at": "2017-01-02T05:05:54+01:00", "net": "5.12"}
BODY = {"type": "basket.paid", "timestamp": "2017-01-02T04:05:55Z", "data": PAID}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def source(*secrets: str, **settings: Any) -> WebhookSource:
    return WebhookSource.model_validate({"verify": "standard-webhooks", "secrets": secrets or (SECRET,), **settings})


def signed(
    secret: str = SECRET, *, request_id: str = "msg_1", sent_at: datetime | None = None, body: Any = BODY
) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent_at = sent_at or datetime.now(UTC)
    signature = Webhook(secret).sign(request_id, sent_at, raw.decode())
    headers = {
        "webhook-id": request_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": signature,
    }
    return Request("POST", "/hooks/till", headers, raw)


class TestWebhookSource(PushSourceContract):
    def source(self, *secrets: str) -> WebhookSource:
        return source(*secrets)

    def request(self, secret: str, *, request_id: str, sent_at_s: float, body: bytes | None = None) -> Request:
        sent_at = datetime.fromtimestamp(sent_at_s, UTC)
        return signed(secret, request_id=request_id, sent_at=sent_at, body=BODY if body is None else body)

    def signature_headers(self) -> Sequence[str]:
        return ["webhook-id", "webhook-timestamp", "webhook-signature"]

    def id_header(self) -> str:
        return "webhook-id"

    def bodies_of_the_wrong_shape(self) -> Sequence[bytes]:
        wrong: list[Any] = [
            [],
            None,
            "text",
            {},
            {**BODY, "data": []},
            {**BODY, "type": 5},
            {**BODY, "timestamp": 1483333554},
            {**BODY, "timestamp": "2017-02-30T00:00:00Z"},
            {**BODY, "timestamp": "2017-01-02T04:05:55"},
            {**BODY, "timestamp": "0001-01-01T00:00:00+14:00"},
        ]
        return [json.dumps(body).encode() for body in wrong]


async def test_an_event_carries_what_the_settings_name() -> None:
    till = source(key="basket_id", time="purchased_at", subject="store_id")

    (event,) = await till.receive(signed())

    assert (event.id, event.key, event.subject) == ("msg_1", "31198892591", "443")
    assert event.time == datetime(2017, 1, 2, 4, 5, 54, tzinfo=UTC)
    assert event.data == PAID


async def test_without_settings_the_time_is_the_payloads_own() -> None:
    (event,) = await source().receive(signed())

    assert (event.key, event.subject, event.time) == (None, None, datetime(2017, 1, 2, 4, 5, 55, tzinfo=UTC))


@pytest.mark.parametrize("setting", ["key", "time", "subject"])
@pytest.mark.parametrize("value", [None, "", True, 1.5, [], {}])
async def test_a_named_field_that_cannot_be_used_is_refused_by_its_name(setting: str, value: Any) -> None:
    body = {**BODY, "data": {**PAID, "named": value}}

    with pytest.raises(RequestRefused) as caught:
        await source(**{setting: "named"}).receive(signed(body=body))

    assert caught.value.status == 422
    assert [error.field for error in caught.value.fields] == ["named"]


@pytest.mark.parametrize("others", ["v1,AAAA {}", "v1a,xyz {} v2,abc", "{} v1,AAAA", "x,y,z  {}"])
async def test_one_right_signature_among_others_counts(others: str) -> None:
    request = signed()
    request.headers["webhook-signature"] = others.format(request.headers["webhook-signature"])  # type: ignore[index]

    assert await source().receive(request)


async def test_the_right_hmac_under_another_scheme_does_not_count() -> None:
    request = signed()
    asymmetric = request.headers["webhook-signature"].replace("v1,", "v1a,")
    request.headers["webhook-signature"] = asymmetric  # type: ignore[index]

    with pytest.raises(RequestRefused):
        await source().receive(request)


async def test_an_id_with_a_full_stop_is_refused_though_it_is_signed() -> None:
    with pytest.raises(RequestRefused) as caught:
        await source().receive(signed(request_id="msg.1"))

    assert caught.value.status == 401


async def test_a_refused_signature_is_found_before_the_body_is_parsed() -> None:
    with pytest.raises(RequestRefused) as caught:
        await source().receive(signed(FOREIGN_SECRET, body=b"not JSON"))

    assert (caught.value.status, caught.value.code.number) == (401, "MS-404")


async def test_signed_bytes_that_are_no_text_are_not_json() -> None:
    body = b'{"type": "\xff\xfe"}'
    headers = sign(SECRET, "msg_1", int(datetime.now(UTC).timestamp()), body)

    with pytest.raises(RequestRefused) as caught:
        await source().receive(Request("POST", "/hooks/till", headers, body))

    assert caught.value.status == 400


async def test_the_cause_is_the_same_whichever_secret_was_tried() -> None:
    causes = set()
    for secret, active in (
        (FOREIGN_SECRET, (SECRET,)),
        (NEXT_SECRET, (SECRET,)),
        (FOREIGN_SECRET, (SECRET, NEXT_SECRET)),
    ):
        with pytest.raises(RequestRefused) as caught:
            await source(*active).receive(signed(secret))
        causes.add(str(caught.value))

    assert len(causes) == 1


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (TRACE, True),
        (TRACE.upper(), False),
        ("ff" + TRACE[2:], False),
        (TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), False),
        (TRACE.replace("b7ad6b7169203331", "0" * 16), False),
        (TRACE + "\n", False),
        ("", False),
    ],
)
async def test_a_valid_trace_is_passed_on_and_a_bad_one_costs_nothing(header: str, kept: bool) -> None:
    request = signed()
    request.headers["traceparent"] = header  # type: ignore[index]

    (event,) = await source().receive(request)

    assert event.trace == (header if kept else None)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "not base64!", b64encode(b"too short").decode(), "whsec_" + b64encode(bytes(23)).decode()],
)
def test_a_secret_that_is_no_key_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(ValidationError, match="a signing secret") as caught:
        source(secret)

    assert len(secret) < 7 or secret not in str(caught.value)


def test_a_source_without_a_secret_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        WebhookSource.model_validate({"verify": "standard-webhooks", "secrets": []})


async def test_a_secret_counts_with_and_without_its_prefix_and_padding() -> None:
    bare = SECRET.removeprefix("whsec_")

    for spelling in (SECRET, bare, bare.rstrip("=")):
        assert await source(spelling).receive(signed())


def test_keys_are_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Verifier([bytes(24)], 300))
