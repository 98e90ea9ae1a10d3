"""Events in over HTTP: JSON, checked against the topic's schema, acknowledged when it is durable."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiohttp.web import BaseRequest, Response
from pydantic import TypeAdapter, ValidationError

from mainstem.errors import REFUSED, SCHEMA_REFUSES, FieldError, Rejected, RequestRefused
from mainstem.event import Event
from mainstem.gateway.body import read_body
from mainstem.gateway.models import MAX_EVENTS, PRINTABLE, EventIn, EventsIn
from mainstem.gateway.route import Access, Answer, Call, Route
from mainstem.gateway.webhooks import DURABLE, not_open, receipt_answer, refusals
from mainstem.ingest.intake import Intake, Sender
from mainstem.ingest.push import Outcomes
from mainstem.project import names
from mainstem.project.gateway import GatewaySettings

IDEMPOTENCY_KEY = "Idempotency-Key"
KEY_CHARACTERS = 190
"""Room for the place in a list that is appended to it: an event's id has at most 200."""
SHOWN_FIELDS = 20

_ONE: TypeAdapter[EventIn] = TypeAdapter(EventIn)
_SEVERAL: TypeAdapter[list[EventIn]] = TypeAdapter(list[EventIn])
_KEY = re.compile(PRINTABLE)


class Publishing:
    """Serves the topics that may be published to; None is one that is not open. The mapping may change."""

    def __init__(self, settings: GatewaySettings, topics: Mapping[str, Intake | None]) -> None:
        self._settings = settings
        self._topics = topics
        self._outcomes = Outcomes("api")

    def routes(self) -> list[Route]:
        answers: dict[int, Answer] = {200: DURABLE, **refusals(400, 401, 403, 404, 408, 413, 415, 422, 500, 503)}
        summary = f"Publish one event, or up to {MAX_EVENTS}: all of them or none."
        headers = {
            IDEMPOTENCY_KEY: "The id of an event that has none; in a list with its place appended, as in `key:0`.",
            "traceparent": "The trace that the events belong to (W3C).",
        }
        path = "/api/v1/topics/{topic}/events"
        return [Route("POST", path, "publishEvents", summary, Access.TOPIC, self._publish, answers, EventsIn, headers)]

    async def _publish(self, call: Call) -> Response:
        intake = self._intake(call.path["topic"])
        sender = Sender(f"api.{call.caller}", data_path="data.")
        try:
            events = await self._events(call.request)
            receipt = await intake.publish(events, sender, trace=call.request.headers.get("traceparent"))
        except Rejected:
            self._outcomes.refused(1)
            raise
        self._outcomes.taken(receipt)
        return receipt_answer(receipt)

    def _intake(self, topic: str) -> Intake:
        if names.is_internal(topic) or names.is_dead_letters(topic) or names.is_redrive(topic):
            raise RequestRefused("mainstem's own topics are not published to", status=403, code=REFUSED)
        if topic not in self._topics:
            raise RequestRefused("there is no such topic", status=404)
        intake = self._topics[topic]
        if intake is None:
            raise not_open(topic)
        return intake

    async def _events(self, request: BaseRequest) -> list[Event]:
        # A page in a browser can send text/plain to this machine without being asked, JSON it cannot.
        if request.content_type != "application/json" or "Content-Encoding" in request.headers:
            raise RequestRefused("the body has to be application/json, not encoded", status=415)
        key = request.headers.get(IDEMPOTENCY_KEY)
        if key is not None and not (len(key) <= KEY_CHARACTERS and _KEY.match(key)):
            raise RequestRefused(f"{IDEMPOTENCY_KEY} has 1 to {KEY_CHARACTERS} printable characters", status=400)
        settings = self._settings
        body = await read_body(request, max_bytes=settings.max_body_bytes, within_s=settings.body_timeout_s)
        return parse_events(body, key)


def parse_events(body: bytes, idempotency_key: str | None) -> list[Event]:
    """The events of a request's body. Raises RequestRefused: 400 not JSON, 422 naming event and field."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestRefused("the body is not JSON", status=400) from None
    if not isinstance(given, list):
        return [_event(_validated(_ONE, given), idempotency_key)]
    if not 1 <= len(given) <= MAX_EVENTS:
        raise _refusal([FieldError("", f"1 to {MAX_EVENTS} events")])
    events = _validated(_SEVERAL, given)
    return [
        _event(event, None if idempotency_key is None else f"{idempotency_key}:{index}")
        for index, event in enumerate(events)
    ]


def _event(given: EventIn, made_id: str | None) -> Event:
    return Event(
        id=given.id or made_id or str(uuid.uuid4()),
        data=given.data,
        key=given.key,
        time=given.time,
        subject=given.subject,
    )


def _validated(adapter: TypeAdapter[Any], given: Any) -> Any:
    try:
        return adapter.validate_python(given)
    except ValidationError as error:
        listed = error.errors(include_url=False, include_context=False, include_input=False)
    raise _refusal([_field_error(item) for item in listed[:SHOWN_FIELDS]])  # outside: pydantic's error holds the values


def _field_error(item: Mapping[str, Any]) -> FieldError:
    expected = str(item["msg"]).removeprefix("Input should be ")
    if item["type"] == "extra_forbidden":
        expected = f"one of {', '.join(EventIn.model_fields)}: there is no such field"
    elif item["type"] == "missing":
        expected = "a value: it is missing"
    return FieldError(_path(item["loc"]), expected)


def _path(location: Sequence[int | str]) -> str:
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += "." * bool(path) + (step[:64] if step.isprintable() else "?")
    return path


def _refusal(fields: list[FieldError]) -> RequestRefused:
    cause = f"{fields[0].field or 'the body'}: expected {fields[0].expected}"
    return RequestRefused(cause, status=422, code=SCHEMA_REFUSES, fields=fields)
