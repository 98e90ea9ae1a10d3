"""What the gateway takes and answers, as the models that its OpenAPI document is made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_EVENTS = 500
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


def _text_only(value: Any) -> Any:
    """A number would be taken for seconds since 1970, or for milliseconds, depending on its size."""
    if not isinstance(value, str):
        raise PydanticCustomError("time", "Input should be an RFC 3339 time with zone")
    return value


EventId = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
Time = Annotated[AwareDatetime, BeforeValidator(_text_only)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class EventIn(_Model):
    """One event to publish."""

    data: dict[str, Any]
    """The payload, as the topic's schema wants it; decimals, times and bytes (base64) as text."""
    id: EventId | None = None
    """The event's id: the same id is published once. Made from Idempotency-Key, or at random, where it is left out."""
    key: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Events of one key stay in order."""
    time: Time | None = None
    """When it happened, RFC 3339 with its zone; now where it is left out."""
    subject: Annotated[str, Field(min_length=1, max_length=1000, pattern=PRINTABLE)] | None = None
    """What it is about (CloudEvents' subject)."""


EventsIn = EventIn | Annotated[list[EventIn], Field(min_length=1, max_length=MAX_EVENTS)]


class ReceiptOut(_Model):
    """All events of the request are durable in Kafka."""

    ids: list[str]
    """The events' ids, in the request's order."""
    duplicates: list[str]
    """Those that had been published before, and were not published again."""


class FieldOut(_Model):
    """One wrong field."""

    field: str
    """Its path: `lines[3].quantity`; `[7].data.lines[3].quantity` in the eighth of several events."""
    expected: str


class ProblemOut(_Model):
    """Why a request was not done (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    """Stable: see the documentation's list of errors."""
    fix: str
    fields: list[FieldOut] | None = None
    trace_id: str | None = None
    """Names the log line of an unexpected error."""


class AliveOut(_Model):
    """The process answers."""

    alive: Literal[True] = True


class PartOut(_Model):
    """What one part of the backbone is doing."""

    state: Literal["starting", "running", "waiting", "paused", "stopped"]
    since: float
    """Seconds since 1970."""
    progress_at: float | None
    """When it last got on with its work, in seconds since 1970."""
    code: str | None
    fix: str | None
    reason: str | None = None
    """Only for callers with a key, where keys are needed: it may name hosts and tables."""


class ReadyOut(_Model):
    """Whether every part gets on with its work."""

    ready: bool
    parts: dict[str, PartOut]


class StatusOut(_Model):
    """The whole state of this process."""

    version: str
    ready: bool
    parts: dict[str, PartOut]
    figures: dict[str, Any]
    """Whatever the process counts: events a second, latencies, lag."""
