"""A push source for providers that sign as Standard Webhooks asks."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, field_validator

from connectors.webhook.signature import Verifier, read_key
from mainstem import Event, FieldError, PushSource, Request, RequestRefused, Secret

_TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_TIME = "RFC 3339 time with zone"


class WebhookSource(PushSource):
    """Takes `{"type": ..., "timestamp": ..., "data": {...}}`; `data` becomes the event's data, `webhook-id` its id."""

    verify: Literal["standard-webhooks"]
    """How requests are signed."""

    secrets: Annotated[tuple[Secret, ...], Field(min_length=1)]
    """The active signing secrets: base64, with or without `whsec_`. While one replaces another both are listed."""

    tolerance_s: Annotated[float, Field(gt=0, le=3600)] = 300
    """How far `webhook-timestamp` may be from now, in either direction."""

    key: str | None = None
    """The field of `data` whose text is the event's key. Events of one key stay in order."""

    time: str | None = None
    """The field of `data` that is the event's time; else it is the payload's own `timestamp`."""

    subject: str | None = None
    """The field of `data` whose text is the event's subject."""

    @field_validator("secrets")
    @classmethod
    def _are_keys(cls, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        for secret in secrets:
            read_key(secret)
        return secrets

    @cached_property
    def _verifier(self) -> Verifier:
        return Verifier(map(read_key, self.secrets), self.tolerance_s)

    async def receive(self, request: Request) -> list[Event]:
        """One event. Raises RequestRefused: 401 signature, 400 not JSON, 422 JSON of another shape."""
        webhook_id = self._verifier.verify(request.headers, request.body, now_s=time.time())
        timestamp, data = _open_envelope(request.body)
        event = Event(
            id=webhook_id,
            key=_text(data, self.key),
            time=timestamp if self.time is None else _instant(data, self.time),
            subject=_text(data, self.subject),
            trace=_trace(request.headers.get("traceparent")),
            data=data,
        )
        return [event]


def _open_envelope(body: bytes) -> tuple[datetime, dict[str, Any]]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestRefused("the body is not JSON", status=400) from None
    if not isinstance(payload, dict):
        raise _wrong_shape("", "object with type, timestamp and data")
    if not isinstance(payload.get("type"), str):
        raise _wrong_shape("type", "string")
    timestamp = _instant(payload, "timestamp")
    data = payload.get("data")
    if not isinstance(data, dict):
        raise _wrong_shape("data", "object")
    return timestamp, data


def _text(data: Mapping[str, Any], field: str | None) -> str | None:
    if field is None:
        return None
    value = data.get(field)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _wrong_shape(field, "text that is not empty, or a whole number")


def _instant(data: Mapping[str, Any], field: str) -> datetime:
    value = data.get(field)
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise _wrong_shape(field, _TIME)
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong_shape(field, _TIME) from None


def _trace(header: str | None) -> str | None:
    """A W3C traceparent, or None: a bad one must not cost the event."""
    return header if header is not None and _TRACE.fullmatch(header) else None


def _wrong_shape(field: str, expected: str) -> RequestRefused:
    cause = f"{field or 'the body'}: expected {expected}"
    return RequestRefused(cause, status=422, fields=[FieldError(field, expected)])
