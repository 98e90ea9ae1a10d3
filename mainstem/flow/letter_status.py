"""What has become of each dead letter: one compacted record per letter, in `_mainstem.letters`.

Only the part that keeps account of a letter (its sink) writes its status, in the transaction that makes it true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Final

import orjson

from mainstem.codec import headers as h
from mainstem.event import Origin
from mainstem.kafka.record import Record

TOPIC: Final = "_mainstem.letters"
WAITING: Final = "waiting"
DELIVERED: Final = "delivered"
DROPPED: Final = "dropped"


@dataclass(frozen=True, slots=True)
class LetterStatus:
    """One letter's last state. `scope` is the key, in hex, whose order it belongs to."""

    dlq: str
    event_id: str
    state: str
    origin: str
    at: str
    cause: str | None = None
    code: str | None = None
    scope: str | None = None
    redrive: str | None = None
    """The redrive (or drop) that it comes of; None for a record that was never redriven."""
    by: str | None = None
    """Who has dropped it."""
    because: str | None = None
    """Why that person has."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a redriven record's headers say of the redrive that brought it."""

    redrive: str | None = None
    by: str | None = None
    because: str | None = None


_FIRST_TIME: Final = Occasion()
_FIELDS: Final = frozenset(field.name for field in fields(LetterStatus))


def read_occasion(headers: h.Headers | None) -> Occasion:
    """The occasion of a record with these headers."""
    known = h.as_dict(headers)
    return Occasion(h.text(known, h.REDRIVE_ID), h.text(known, h.DROP), h.text(known, h.DROP_BECAUSE))


def status_record(  # noqa: PLR0913 - these are the fields of the record
    dlq: str,
    event_id: str,
    state: str,
    *,
    origin: Origin,
    cause: str | None = None,
    code: str | None = None,
    scope: bytes | None = None,
    occasion: Occasion = _FIRST_TIME,
) -> Record:
    """The record that says so. Written in the transaction that makes it true."""
    now = h.format_time(datetime.now(UTC)).decode()
    key = None if scope is None else scope.hex()
    status = LetterStatus(dlq, event_id, state, str(origin), now, cause, code, key, **asdict(occasion))
    return Record(TOPIC, f"{dlq}|{event_id}|{origin}".encode(), orjson.dumps(asdict(status)))


def read_status(value: bytes) -> LetterStatus:
    """The state that a record of the topic holds; what a later version adds to it is passed over."""
    said: Mapping[str, str] = orjson.loads(value)
    return LetterStatus(**{name: part for name, part in said.items() if name in _FIELDS})
