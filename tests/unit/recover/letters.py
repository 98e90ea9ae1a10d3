"""Dead letters for tests, made by the real `dead_letter`, and messages as a client would hand them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from mainstem.codec import headers as h
from mainstem.errors import TARGET_REFUSES, MainstemError, Rejected
from mainstem.event import Origin
from mainstem.flow.dead_letter import Failure, dead_letter
from mainstem.flow.letter_status import LetterStatus, read_status, status_record
from mainstem.recover.letters import Identity

DLQ = "shop.journal.dlq"
TOPIC = "shop.sold.v1"
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass(frozen=True)
class FakeMessage:
    """A consumed message."""

    place: Origin
    key_: bytes | None = b"k"
    value_: bytes | None = b"v"
    headers_: Sequence[tuple[str, bytes]] = field(default_factory=list)
    at_ms: int = 1_764_000_000_000

    def topic(self) -> str:
        return self.place.topic

    def partition(self) -> int:
        return self.place.partition

    def offset(self) -> int:
        return self.place.offset

    def key(self) -> bytes | None:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> list[tuple[str, bytes]]:
        return list(self.headers_)

    def timestamp(self) -> tuple[int, int]:
        return (1, self.at_ms)


def sold(
    offset: int,
    event_id: str,
    key: bytes | None = b"k",
    partition: int = 0,
    more: Mapping[str, bytes] = MappingProxyType({}),
) -> FakeMessage:
    """A record of the topic of origin; `more` are further headers."""
    headers = [(h.ID, event_id.encode()), *more.items()]
    return FakeMessage(Origin(TOPIC, partition, offset), key, event_id.encode() + b"-value", headers)


def letter(
    message: FakeMessage, at: int, error: MainstemError | None = None, failed_at: datetime = AT, dlq: str = DLQ
) -> FakeMessage:
    """The message's dead letter, standing at that offset of the dead-letter topic."""
    failure = Failure(error or Rejected("account 17 is closed", code=TARGET_REFUSES), "shop.journal", "write", 3)
    record = dead_letter(message, failure, dlq, failed_at)
    return FakeMessage(Origin(dlq, 0, at), record.key, record.value, record.headers)


def status(message: FakeMessage, state: str, dlq: str = DLQ) -> LetterStatus:
    """What the sink says of it."""
    event_id = dict(message.headers())[h.ID].decode()
    record = status_record(
        dlq, event_id, state, origin=message.place, scope=message.key() or b"\x00" + event_id.encode()
    )
    return read_status(record.value or b"")


def by_identity(*statuses: LetterStatus) -> Mapping[Identity, LetterStatus]:
    """As they are read from the topic."""
    found = {}
    for one in statuses:
        topic, partition, offset = one.origin.rsplit(":", 2)
        found[one.event_id, Origin(topic, int(partition), int(offset))] = one
    return found
