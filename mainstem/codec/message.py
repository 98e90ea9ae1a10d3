"""A consumed Kafka message as an event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


class ReceivedEvent(Event):
    """An event whose attributes are read from its message when the first of them is asked for.

    A sink that writes rows needs none of them: reading a dozen headers costs as much as decoding a small record.
    """

    __slots__ = ("_decoder", "_known", "has_attributes", "message")

    def __init__(self, message: Message, decoder: Decoder) -> None:
        self.message = message
        self._decoder: Decoder | None = decoder
        self._known: dict[str, bytes] | None = None
        self.has_attributes = False
        """Whether they were read."""

    @property
    def known(self) -> Mapping[str, bytes]:
        """The message's headers by name; of a repeated one the last counts."""
        if self._known is None:
            self._known = h.as_dict(self.message.headers())
        return self._known

    def __getattr__(self, name: str) -> Any:
        """Comes here for an attribute that is not set yet."""
        if name == "key":  # is asked for most, and needs no header
            key = self.message.key()
            self.key = None if key is None else key.decode(errors="replace")
            return self.key
        if name not in Event.__slots__ or name.startswith("_"):
            raise AttributeError(name)
        self.read_attributes()
        return getattr(self, name)

    def read_attributes(self) -> None:
        """Reads them from the message."""
        self.has_attributes = True
        _fill(self)

    @property
    def payload(self) -> Data | None:
        if self._decoder is not None:
            value = self.message.value()
            self._data = None if value is None else self._decoder.decode(framed_value(value, self.known))
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
        _set_came_from(self, came_from)
        _set_data(self, data)
        _set_decode(self, None)

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


_set_came_from: Any = vars(DerivedEvent)["_came_from"].__set__
_set_data, _set_decode = (vars(Event)[name].__set__ for name in ("_data", "_decode"))
"""Past `__setattr__`, which is for others."""


def is_untouched(made: Event, event: Event) -> bool:
    """Whether one is the other with its own or other data, and nobody has looked at an attribute besides the key: they
    are still those of the message."""
    came_from = made.came_from if isinstance(made, DerivedEvent) else made
    return came_from is event and isinstance(came_from, ReceivedEvent) and not came_from.has_attributes


def read_event(message: Message, decoder: Decoder) -> ReceivedEvent:
    """The event; its attributes are read, and its data is decoded and can be refused, when they are first asked for.

    A record that another producer wrote without CloudEvents headers gets an id from where it stands.
    """
    return ReceivedEvent(message, decoder)


def _fill(event: ReceivedEvent) -> None:
    message, headers = event.message, event.known
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


def foreign_headers(message: Message, event_type: bytes) -> list[tuple[str, bytes]]:
    """Those of an event of that type which came of a record without any: where that stands, and its Kafka time."""
    return h.least_headers(f"kafka:{origin_of(message)}".encode(), event_type, _timestamp(message))


def decode_value(decoder: Decoder, value: bytes, known: Mapping[str, bytes]) -> Data:
    """Decodes a value whose schema id stands before it or, in the newer form, in a header."""
    return decoder.decode(framed_value(value, known))


def framed_value(value: bytes, known: Mapping[str, bytes]) -> bytes:
    """The value behind its schema's id, wherever that is given: `known` are the record's headers by name.

    Raises Rejected (MS-101) for a header that is none.
    """
    named = known.get(h.VALUE_SCHEMA_ID)
    if not named:
        return value
    if len(named) != FRAME_BYTES or named[0] != 0:
        raise Rejected(f"{h.VALUE_SCHEMA_ID} is not 0x00 and a 4-byte schema id", code=NOT_AVRO)
    return named + value


def names_schema(all_headers: Iterable[Any]) -> bool:
    """Whether any record, given the headers of each, has its value's schema in a header."""
    return any_has_header(all_headers, h.VALUE_SCHEMA_ID)


def _timestamp(message: Message) -> datetime | None:
    kind, milliseconds = message.timestamp()
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if kind else None
    except (ValueError, OverflowError, OSError):  # a producer may claim any 64-bit number
        return None
