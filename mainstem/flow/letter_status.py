"""What has become of each dead letter: one compacted record per letter, in `_mainstem.letters`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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


def status_record(  # noqa: PLR0913 - these are the fields of the record
    dlq: str,
    event_id: str,
    state: str,
    *,
    origin: Origin,
    cause: str | None = None,
    code: str | None = None,
    scope: bytes | None = None,
) -> Record:
    """The record that says so. Written in the transaction that makes it true."""
    now = h.format_time(datetime.now(UTC)).decode()
    status = LetterStatus(dlq, event_id, state, str(origin), now, cause, code, None if scope is None else scope.hex())
    return Record(TOPIC, f"{dlq}|{event_id}|{origin}".encode(), orjson.dumps(asdict(status)))


def read_status(value: bytes) -> LetterStatus:
    """The state that a record of the topic holds."""
    return LetterStatus(**orjson.loads(value))
