"""What the headers of a dead letter say of its failure: mainstem's and Kafka Connect's, Kafka Streams', Spring's.

Sources: KIP-298 (Connect), KIP-1034 (Streams), Spring's DeadLetterPublishingRecoverer.HeaderNames.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mainstem.codec import headers as h
from mainstem.event import Origin
from mainstem.flow import dead_letter as dl

_DIGITS = 18
"""More than any offset or count has; Python refuses to read a number of thousands of digits."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record is a dead letter. What the one who wrote it did not say is None or empty.

    When and how often it failed is not part of it: thousands of letters have one fault.
    """

    cause: str
    """A stable fingerprint: equal failures have it equal."""
    message: str
    code: str | None = None
    exception: str | None = None
    step: str | None = None
    part: str | None = None
    """The sink or stream that failed."""
    stacktrace: str = ""


@dataclass(frozen=True, slots=True)
class _Dialect:
    """The names that one kind of writer uses, and how it writes numbers."""

    topic: str
    partition: str
    offset: str
    exception: str
    message: str
    stacktrace: str
    number: Callable[[bytes], int | None]


def text_number(value: bytes) -> int | None:
    """The number that a header holds as text; None for anything else, however hostile."""
    return int(value) if value.isdigit() and len(value) <= _DIGITS else None


def _binary_number(value: bytes) -> int | None:
    return int.from_bytes(value, "big") if len(value) in {4, 8} else None


_DIALECTS = (
    _Dialect(dl.TOPIC, dl.PARTITION, dl.OFFSET, dl.EXCEPTION, dl.MESSAGE, dl.STACKTRACE, text_number),
    _Dialect(
        "__streams.errors.topic",
        "__streams.errors.partition",
        "__streams.errors.offset",
        "__streams.errors.exception",
        "__streams.errors.message",
        "__streams.errors.stacktrace",
        text_number,
    ),
    _Dialect(
        "kafka_dlt-original-topic",
        "kafka_dlt-original-partition",
        "kafka_dlt-original-offset",
        "kafka_dlt-exception-fqcn",
        "kafka_dlt-exception-message",
        "kafka_dlt-exception-stacktrace",
        _binary_number,
    ),
)

_SAID = (
    dl.CAUSE,
    dl.CODE,
    dl.STAGE,
    dl.CONNECTOR,
    *(name for d in _DIALECTS for name in (d.topic, d.exception, d.message, d.stacktrace)),
)
"""The headers that a fault is read from."""


def read_fault(headers: Mapping[str, bytes]) -> Fault:
    """The failure that a dead letter's headers tell; one without any such headers is `no reason given`."""
    dialect = _dialect(headers)
    message = h.text(headers, dialect.message) or "no reason given"
    exception = h.text(headers, dialect.exception)
    return Fault(
        cause=h.text(headers, dl.CAUSE) or _fingerprint(exception or "", message),
        message=message,
        code=h.text(headers, dl.CODE),
        exception=exception,
        step=h.text(headers, dl.STAGE),
        part=h.text(headers, dl.CONNECTOR),
        stacktrace=h.text(headers, dialect.stacktrace) or "",
    )


class FaultReader:
    """Reads the faults of many letters; equal ones are one value, not thousands."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes | None, ...], Fault] = {}

    def read(self, headers: Mapping[str, bytes]) -> Fault:
        """As `read_fault`."""
        said = tuple(headers.get(name) for name in _SAID)
        fault = self._known.get(said)
        if fault is None:
            fault = self._known[said] = read_fault(headers)
        return fault


def read_origin(headers: Mapping[str, bytes]) -> Origin | None:
    """Where the record stood before it became a dead letter; None where the headers do not tell."""
    dialect = _dialect(headers)
    topic = h.text(headers, dialect.topic)
    partition = dialect.number(headers.get(dialect.partition, b""))
    offset = dialect.number(headers.get(dialect.offset, b""))
    if not topic or partition is None or offset is None:
        return None
    return Origin(topic, partition, offset)


def _dialect(headers: Mapping[str, bytes]) -> _Dialect:
    known = (dialect for dialect in _DIALECTS if dialect.topic in headers or dialect.exception in headers)
    return next(known, _DIALECTS[0])


def _fingerprint(exception: str, message: str) -> str:
    """For letters that others wrote: the exception and its message without numbers."""
    said = exception + "|" + re.sub(r"\d+", "#", message)
    return hashlib.sha256(said.encode()).hexdigest()[: dl.CAUSE_CHARACTERS]
