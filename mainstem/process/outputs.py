"""What a stream's function returned, as records of the topic that it writes."""

from __future__ import annotations

from collections.abc import Iterable

from mainstem.codec import headers as h
from mainstem.codec.avro import Encoder
from mainstem.codec.message import ReceivedEvent, foreign_headers, is_untouched
from mainstem.errors import TOO_LARGE, Rejected
from mainstem.event import Event
from mainstem.flow.dead_letter import ERROR_HEADERS, ORIGIN_HEADERS
from mainstem.kafka.record import Record
from mainstem.project import names
from mainstem.sdk.stream import Result, Stream

MAX_BYTES = 1_000_000
"""Kafka's own default limit is 1,048,588 for a record with its headers; one that it refuses would stop the stream."""

_OF_THE_INPUT_ONLY = ERROR_HEADERS | {*ORIGIN_HEADERS, h.VALUE_SCHEMA_ID}


class Outputs:
    """Completes and encodes the events of one stream."""

    def __init__(self, stream: Stream, encoder: Encoder) -> None:
        self._stream = stream
        self._type = names.event_type(stream.writes)
        self._encoded_type = self._type.encode()
        self._encoder = encoder

    def records(self, event: ReceivedEvent, result: Result) -> list[Record]:
        """The records for what the function made of `event`.

        What an event does not say itself it has from the one it came from. Of several that kept its id, the n-th gets
        `<id>/<n>`. Raises Rejected when one does not fit the schema or is too large, TypeError for what is no event.
        """
        events = self._listed(result)
        if len(events) == 1:
            if is_untouched(events[0], event) and (headers := self._passed_on(event)) is not None:
                return [Record(self._stream.writes, event.message.key(), self._encoded(events[0]), headers)]
            return [self._record(event, events[0], events[0].id)]
        ids = [f"{event.id}/{n}" if made.id == event.id else made.id for n, made in enumerate(events, 1)]
        return [self._record(event, made, made_id) for made, made_id in zip(events, ids, strict=True)]

    def _listed(self, result: Result) -> list[Event]:
        if isinstance(result, Event):
            return [result]
        if result is None:
            return []
        made = list(result) if isinstance(result, Iterable) else [result]
        for each in made:
            if not isinstance(each, Event):
                kind = type(each).__name__
                raise TypeError(f"{self._stream.name} returns a {kind}; it may return an Event, several, or None")
        return made

    def _record(self, origin: ReceivedEvent, made: Event, event_id: str) -> Record:
        value = self._encoded(made)
        complete = Event(
            id=event_id,
            type=self._type,
            source=made.source or origin.source,
            time=made.time or origin.time,
            subject=made.subject,
            trace=made.trace or origin.trace,
            ingested_at=made.ingested_at or origin.ingested_at,
            revision=made.revision or origin.revision,
            headers={name: value for name, value in made.headers.items() if name not in _OF_THE_INPUT_ONLY},
        )
        key = origin.message.key() if made.key is None or made.key == origin.key else made.key.encode()
        return Record(self._stream.writes, key, value, h.write_headers(complete))

    def _passed_on(self, event: ReceivedEvent) -> list[tuple[str, bytes]] | None:
        if not event.known:
            return foreign_headers(event.message, self._encoded_type)
        return h.passed_on(event.known, self._encoded_type, without=_OF_THE_INPUT_ONLY)

    def _encoded(self, made: Event) -> bytes | None:
        value = self._encoder.encode(made.payload)
        if value is not None and len(value) > MAX_BYTES:
            raise Rejected(f"{self._stream.writes}: a value of {len(value)} bytes", code=TOO_LARGE)
        return value
