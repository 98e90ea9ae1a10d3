"""The contract suites catch sources that misbehave: each of these breaks one promise, and one test says so."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mainstem import Batch, Event, FieldError, Misconfigured, Position, PushSource, Request, RequestRefused, Source
from mainstem.testing.payment_provider import sign
from mainstem.testing.source_contract import SECRET, PullSourceContract, PushSourceContract

READS = 0


class CountingSource(Source):
    """Nine numbers in batches of three; `fault` says how it misbehaves."""

    fault: str = ""

    async def read(self, after: Position | None) -> AsyncIterator[Batch]:
        global READS  # noqa: PLW0603 - a source that is not stable from one read to the next
        READS += 1
        done = int(after["done"]) if after else 0
        if self.fault == "forgets":
            done = 0
        if self.fault == "skips" and after:
            done += 1
        while done < (3 if self.fault == "single" else 9):
            numbers = range(done, min(done + 3, 9))
            done = numbers[-1] + 1
            yield Batch([self._event(n) for n in numbers], self._position(done))

    def _event(self, number: int) -> Event:
        names = {"unstable": f"{READS}:{number}", "repeats": str(number % 8), "nameless": ""}
        return Event(id=names.get(self.fault, str(number)), data={"number": number})

    def _position(self, done: int) -> Position:
        if self.fault == "stands":
            return {"done": 9}
        return {"done": done, "at": datetime.now(UTC)} if self.fault == "no json" else {"done": done}

    async def check(self) -> None:
        if self.fault == "check":
            raise Misconfigured("never well")


class LaxSource(CountingSource, extra="ignore"):
    """Takes any setting."""


class PullSuite(PullSourceContract):
    """Run by hand below, not by pytest."""


async def failures(suite: Any, *arguments: Any) -> set[str]:
    """The names of the suite's tests that fail."""
    failed = set()
    for name, test in inspect.getmembers(suite, inspect.iscoroutinefunction):
        if name.startswith("test_"):
            try:
                await test(*arguments)
            except (AssertionError, TypeError, ValueError, Misconfigured, RequestRefused):
                failed.add(name.removeprefix("test_"))
    return failed


async def test_a_source_that_behaves_passes() -> None:
    assert await failures(PullSuite(), CountingSource()) == set()


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("single", "it_gives_several_batches"),
        ("forgets", "reading_on_from_any_position_gives_exactly_what_is_left"),
        ("skips", "reading_on_from_any_position_gives_exactly_what_is_left"),
        ("skips", "reading_can_be_given_up_and_taken_up"),
        ("unstable", "reading_twice_gives_the_same_events"),
        ("repeats", "ids_are_unique"),
        ("nameless", "ids_are_unique"),
        ("stands", "each_batch_moves_the_position"),
        ("no json", "each_batch_moves_the_position"),
        ("check", "the_check_of_a_good_source_passes"),
    ],
)
async def test_a_pull_source_that_breaks_a_promise_is_caught(fault: str, caught_by: str) -> None:
    assert caught_by in await failures(PullSuite(), CountingSource(fault=fault))


async def test_a_source_that_takes_any_setting_is_caught() -> None:
    assert await failures(PullSuite(), LaxSource()) == {"an_unknown_setting_is_refused"}


class CarelessHook(PushSource):
    """Verifies with the reference library; `fault` says what it does wrong."""

    verify: Literal["reference"] = "reference"
    secrets: tuple[str, ...]
    fault: str = ""

    async def receive(self, request: Request) -> list[Event]:
        self._verify(request)
        try:
            payload = json.loads(request.body, parse_constant=_refuse_constant)
        except ValueError:
            raise RequestRefused("not JSON", status=500 if self.fault == "status" else 400) from None
        if not isinstance(payload, dict) and self.fault != "shape":
            fields = [] if self.fault == "fields" else [FieldError("", "object")]
            raise RequestRefused("not an object", status=422, fields=fields)
        event_id = {"random": str(time.monotonic()), "constant": "1"}.get(
            self.fault, request.headers.get("webhook-id", "1")
        )
        return [] if self.fault == "nothing" else [Event(id=event_id, data={"payload": payload})]

    def _verify(self, request: Request) -> None:
        if self.fault == "trusts":
            return
        headers = dict(request.headers)
        if self.fault == "timeless" and headers.get("webhook-timestamp", "").isdecimal():
            again = sign(SECRET, headers.get("webhook-id", ""), int(headers["webhook-timestamp"]), request.body)
            if again["webhook-signature"] == headers.get("webhook-signature"):
                return
        if self.fault == "id unsigned":
            headers["webhook-id"] = "msg_1"
        secrets = self.secrets[:1] if self.fault == "one secret" else self.secrets
        if not any(_verifies(secret, headers, request.body) for secret in secrets):
            told = secrets[0] if self.fault == "tells" else ""
            raise RequestRefused(f"wrong signature {told}", status=401)


def _verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


def _refuse_constant(_: str) -> None:
    raise ValueError("not JSON")


class HookSuite(PushSourceContract):
    """Run by hand below, not by pytest."""

    fault = ""

    def source(self, *secrets: str) -> PushSource:
        return CarelessHook(secrets=secrets, fault=self.fault)

    def request(self, secret: str, *, request_id: str, sent_at_s: float, body: bytes | None = None) -> Request:
        raw = b'{"paid": true}' if body is None else body
        return Request("POST", "/", sign(secret, request_id, int(sent_at_s), raw), raw)

    def signature_headers(self) -> Sequence[str]:
        return ["webhook-id", "webhook-timestamp", "webhook-signature"]

    def id_header(self) -> str:
        return "webhook-id"

    def bodies_of_the_wrong_shape(self) -> Sequence[bytes]:
        return [b"[]", b"5"]


ALWAYS = {"no_refusal_shows_a_secret"}
"""The careless hook keeps its secrets as plain text, and its repr shows them."""


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("", set()),
        ("nothing", {"a_good_request_gives_events", "both_secrets_count_while_one_replaces_the_other"}),
        ("random", {"a_repeated_request_gives_the_same_ids"}),
        ("constant", {"another_request_gives_other_ids"}),
        ("timeless", {"an_old_signature_is_refused", "a_signature_from_the_future_is_refused"}),
        ("one secret", {"both_secrets_count_while_one_replaces_the_other"}),
        ("status", {"a_body_that_is_not_json_is_refused"}),
        ("shape", {"json_of_the_wrong_shape_is_refused_with_the_field_named"}),
        ("fields", {"json_of_the_wrong_shape_is_refused_with_the_field_named"}),
    ],
)
async def test_a_push_source_that_breaks_a_promise_is_caught(fault: str, caught_by: set[str]) -> None:
    suite = HookSuite()
    suite.fault = fault

    assert await failures(suite) - ALWAYS >= caught_by
    assert bool(fault) == bool(await failures(suite) - ALWAYS)


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("trusts", "a_foreign_signature_is_refused"),
        ("trusts", "a_missing_or_empty_signature_header_is_refused"),
        ("trusts", "nonsense_in_a_signature_header_is_refused"),
        ("trusts", "a_tampered_body_is_refused"),
        ("id unsigned", "a_signature_replayed_under_another_id_is_refused"),
        ("tells", "no_refusal_shows_a_secret"),
    ],
)
async def test_a_push_source_that_trusts_too_much_is_caught(fault: str, caught_by: str) -> None:
    suite = HookSuite()
    suite.fault = fault

    assert caught_by in await failures(suite)
