"""A consumed Kafka message as an event."""

from __future__ import annotations

from datetime import UTC, datetime
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


class ReceivedEvent(Event):
    """An event whose attributes are read from its message when the first of them is asked for.

    A sink that writes rows needs none of them: reading a dozen headers costs as much as decoding a small record.
    """

    __slots__ = ("_decoder", "_message")

    def __init__(self, message: Message, decoder: Decoder) -> None:
        self._message = message
        self._decoder: Decoder | None = decoder

    def __getattr__(self, name: str) -> Any:
        """Comes here for an attribute that is not set yet."""
        if name not in Event.__slots__ or name.startswith("_"):
            raise AttributeError(name)
        _fill(self, self._message)
        return getattr(self, name)

    @property
    def payload(self) -> Data | None:
        if self._decoder is not None:
            value = self._message.value()
            if value is not None:
                self._data = decode_value(self._decoder, value, self._message.headers())
            else:
                self._data = None
            self._decoder = None
        return self._data

    def replace(self, **changes: Any) -> Event:
        if "data" not in changes:
            changes.setdefault("decode", lambda: self.payload)
        now = {name: getattr(self, name) for name in Event.__slots__ if not name.startswith("_")}
        return Event(**(now | changes))


def read_event(message: Message, decoder: Decoder) -> Event:
    """The event; its attributes are read, and its data is decoded and can be refused, when they are first asked for.

    A record that another producer wrote without CloudEvents headers gets an id from where it stands.
    """
    return ReceivedEvent(message, decoder)


def _fill(event: Event, message: Message) -> None:
    headers = h.as_dict(message.headers())
    key = message.key()
    event.origin = origin_of(message)
    event.id = h.text(headers, h.ID) or f"kafka:{event.origin}"
    event.key = None if key is None else key.decode(errors="replace")
    event.time = h.parse_time(headers.get(h.TIME)) or _timestamp(message)
    event.type = h.text(headers, h.TYPE) or ""
    event.source = h.text(headers, h.SOURCE) or ""
    event.subject = h.text(headers, h.SUBJECT)
    event.trace = h.text(headers, h.TRACE)
    event.ingested_at = h.parse_time(headers.get(h.INGESTED_AT))
    event.revision = h.parse_number(headers.get(h.REVISION)) or 0
    event.headers = {
        name: value.decode(errors="replace") for name, value in headers.items() if name not in h.ATTRIBUTES
    }


def decode_value(decoder: Decoder, value: bytes, headers: Any) -> Data:
    """Decodes a value whose schema id stands before it or, in the newer form, in a header."""
    return decoder.decode(framed_value(value, headers))


def framed_value(value: bytes, headers: Any) -> bytes:
    """The value behind its schema's id, wherever that is given. Raises Rejected (MS-101) for a header that is none."""
    for name, named in headers.items() if isinstance(headers, dict) else headers or ():
        if name == h.VALUE_SCHEMA_ID and named:
            if len(named) != FRAME_BYTES or named[0] != 0:
                raise Rejected(f"{h.VALUE_SCHEMA_ID} is not 0x00 and a 4-byte schema id", code=NOT_AVRO)
            return bytes(named) + value
    return value


def _timestamp(message: Message) -> datetime | None:
    kind, milliseconds = message.timestamp()
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if kind else None
    except (ValueError, OverflowError, OSError):  # a producer may claim any 64-bit number
        return None
