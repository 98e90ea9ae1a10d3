"""A dead letter: the original record, byte for byte, with headers that say where, when, why and how often.

Header names are Kafka Connect's (KIP-298), so that the tools that know those can read them.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mainstem.codec import headers as h
from mainstem.codec.message import Message, origin_of
from mainstem.errors import MainstemError
from mainstem.event import Origin
from mainstem.kafka.record import Record

PREFIX: Final = "__connect.errors."
TOPIC: Final = f"{PREFIX}topic"
PARTITION: Final = f"{PREFIX}partition"
OFFSET: Final = f"{PREFIX}offset"
CONNECTOR: Final = f"{PREFIX}connector.name"
TASK: Final = f"{PREFIX}task.id"
STAGE: Final = f"{PREFIX}stage"
CLASS: Final = f"{PREFIX}class.name"
EXCEPTION: Final = f"{PREFIX}exception.class.name"
MESSAGE: Final = f"{PREFIX}exception.message"
STACKTRACE: Final = f"{PREFIX}exception.stacktrace"
CODE: Final = "mainstem_error_code"
FIRST_FAILED_AT: Final = "mainstem_first_failed_at"
ATTEMPTS: Final = "mainstem_attempts"
CAUSE: Final = "mainstem_cause"
ERROR_HEADERS: Final = frozenset(
    {TOPIC, PARTITION, OFFSET, CONNECTOR, TASK, STAGE, CLASS, EXCEPTION, MESSAGE, STACKTRACE, CODE, FIRST_FAILED_AT,
     ATTEMPTS, CAUSE}
)  # fmt: skip
ORIGIN_HEADERS: Final = ("mainstem_origin_topic", "mainstem_origin_partition", "mainstem_origin_offset")
MAX_MESSAGE_BYTES: Final = 1000
CAUSE_CHARACTERS: Final = 12
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record could not be delivered, and at which step of which part."""

    error: MainstemError
    part: str
    """`payments-to-accounting.journal`, or a stream's name."""
    step: str
    """`decode`, `map`, `write`, `park` or `process`."""
    attempts: int = 1


def dead_letter(message: Message, failure: Failure, topic: str, now: datetime | None = None) -> Record:
    """The record for the dead-letter topic. A record that has failed before keeps its origin and its first failure."""
    given = list(message.headers() or ())
    known = h.as_dict(given)
    first = known.get(FIRST_FAILED_AT) or h.format_time(now or datetime.now(UTC))
    kept = [(name, value) for name, value in given if name not in ERROR_HEADERS and name not in ORIGIN_HEADERS]
    return Record(topic, message.key(), message.value(), [*kept, *_explain(first_origin(message), failure, first)])


def first_origin(message: Message) -> Origin:
    """Where the record stood first: a redriven record carries its origin along."""
    known = h.as_dict(message.headers())
    topic, *place = (h.text(known, name) for name in ORIGIN_HEADERS)
    partition, offset = map(h.parse_number, place)
    if topic and partition is not None and offset is not None:
        return Origin(topic, partition, offset)
    return origin_of(message)


def cause(failure: Failure) -> str:
    """A stable fingerprint of the cause: equal failures have it equal, whatever the record."""
    error = failure.error
    said = "|".join((type(error).__name__, error.code.number, failure.step, _place(error), _constraint(error.cause)))
    return hashlib.sha256(said.encode()).hexdigest()[:CAUSE_CHARACTERS]


def _explain(origin: Origin, failure: Failure, first_failed_at: bytes) -> Sequence[tuple[str, bytes]]:
    error = failure.error
    text: Mapping[str, str] = {
        TOPIC: origin.topic,
        PARTITION: str(origin.partition),
        OFFSET: str(origin.offset),
        CONNECTOR: failure.part,
        TASK: "0",
        STAGE: failure.step,
        CLASS: failure.part,
        EXCEPTION: f"{type(error).__module__}.{type(error).__qualname__}",
        MESSAGE: error.cause,
        STACKTRACE: "".join(traceback.format_tb(error.__traceback__)),
        CODE: error.code.number,
        ATTEMPTS: str(failure.attempts),
        CAUSE: cause(failure),
    }
    headers = [(name, _capped(value)) for name, value in text.items()]
    return [*headers, (FIRST_FAILED_AT, first_failed_at)]


def _capped(value: str) -> bytes:
    encoded = value.encode(errors="replace")
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return encoded
    whole_characters = encoded[: MAX_MESSAGE_BYTES - 3].decode(errors="ignore")
    return whole_characters.encode() + b"..."


def _place(error: MainstemError) -> str:
    """File and function where it was raised; not the line, which moves with every edit."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else ""


def _constraint(said: str) -> str:
    """What the message says without its numbers: `order 9 is closed` and `order 10 is closed` are one cause."""
    return _NUMBER.sub("#", said)
