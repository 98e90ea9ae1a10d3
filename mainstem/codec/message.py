"""A consumed Kafka message as an event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from mainstem.codec import headers as h
from mainstem.codec.avro import FRAME_BYTES, Decoder
from mainstem.errors import NOT_AVRO, Rejected
from mainstem.event import Data, Event, Origin


class Message(Protocol):
    """What a client's consumed message offers; confluent_kafka.Message is one."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> Any: ...
    def timestamp(self) -> tuple[int, int]: ...


def origin_of(message: Message) -> Origin:
    """Where the message stands. The client's types allow an error without a place; a record always has one."""
    return Origin(message.topic() or "", message.partition() or 0, message.offset() or 0)


def read_event(message: Message, decoder: Decoder) -> Event:
    """The event; its data is decoded, and can be refused, when it is first read.

    A record that another producer wrote without CloudEvents headers gets an id from where it stands.
    """
    headers = h.as_dict(message.headers())
    origin = origin_of(message)
    key = message.key()
    value = message.value()
    return Event(
        id=h.text(headers, h.ID) or f"kafka:{origin}",
        key=None if key is None else key.decode(errors="replace"),
        time=h.parse_time(headers.get(h.TIME)) or _timestamp(message),
        type=h.text(headers, h.TYPE) or "",
        source=h.text(headers, h.SOURCE) or "",
        subject=h.text(headers, h.SUBJECT),
        trace=h.text(headers, h.TRACE),
        ingested_at=h.parse_time(headers.get(h.INGESTED_AT)),
        revision=h.parse_number(headers.get(h.REVISION)) or 0,
        headers={name: value.decode(errors="replace") for name, value in headers.items() if name not in h.ATTRIBUTES},
        origin=origin,
        decode=None if value is None else partial(decode_value, decoder, value, headers),
    )


def decode_value(decoder: Decoder, value: bytes, headers: Mapping[str, Any]) -> Data:
    """Decodes a value whose schema id stands before it or, in the newer form, in a header."""
    named = headers.get(h.VALUE_SCHEMA_ID)
    if not named:
        return decoder.decode(value)
    if len(named) != FRAME_BYTES or named[0] != 0:
        raise Rejected(f"{h.VALUE_SCHEMA_ID} is not 0x00 and a 4-byte schema id", code=NOT_AVRO)
    return decoder.decode(value, int.from_bytes(named[1:], "big"))


def _timestamp(message: Message) -> datetime | None:
    kind, milliseconds = message.timestamp()
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if kind else None
    except (ValueError, OverflowError, OSError):  # a producer may claim any 64-bit number
        return None
