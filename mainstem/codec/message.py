"""A consumed Kafka message as an event."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from mainstem.codec import headers as h
from mainstem.codec.avro import FRAME_BYTES, Decoder
from mainstem.codec.engine import any_has_header
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


_ID = Event.__dict__["id"]


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
        if name == "key":  # is asked for most, and needs no header
            key = self._message.key()
            self.key = None if key is None else key.decode(errors="replace")
            return self.key
        if name not in Event.__slots__ or name.startswith("_"):
            raise AttributeError(name)
        self.read_attributes()
        return getattr(self, name)

    def read_attributes(self) -> None:
        """Reads them from the message."""
        _fill(self, self._message)

    @property
    def has_attributes(self) -> bool:
        """Whether they were read."""
        try:
            _ID.__get__(self)
        except AttributeError:
            return False
        return True

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
        if changes.keys() == {"data"}:
            return DerivedEvent(self, changes["data"])
        if "data" not in changes:
            changes.setdefault("decode", lambda: self.payload)
        now = {name: getattr(self, name) for name in Event.__slots__ if not name.startswith("_")}
        return Event(**(now | changes))


class DerivedEvent(Event):
    """A received event with other data: its attributes are those of the one that it came from.

    Where they are only written again nobody has to read them first.
    """

    __slots__ = ("_came_from",)
    _came_from: ReceivedEvent

    def __init__(self, came_from: ReceivedEvent, data: Data | None) -> None:
        for name, value in (("_came_from", came_from), ("_data", data), ("_decode", None)):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """Comes here for an attribute that nobody has set on this event."""
        if name not in Event.__slots__ or name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._came_from, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._came_from.read_attributes()
        object.__setattr__(self, name, value)

    @property
    def came_from(self) -> ReceivedEvent:
        return self._came_from


def is_untouched(made: Event, event: Event) -> bool:
    """Whether one is the other with its own or other data, and nobody has looked at an attribute besides the key: they
    are still those of the message."""
    came_from = made.came_from if isinstance(made, DerivedEvent) else made
    return came_from is event and isinstance(came_from, ReceivedEvent) and not came_from.has_attributes


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


def names_schema(all_headers: Iterable[Any]) -> bool:
    """Whether any record, given the headers of each, has its value's schema in a header."""
    return any_has_header(all_headers, h.VALUE_SCHEMA_ID)


def _timestamp(message: Message) -> datetime | None:
    kind, milliseconds = message.timestamp()
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if kind else None
    except (ValueError, OverflowError, OSError):  # a producer may claim any 64-bit number
        return None
