"""An event from outside made whole, and made a Kafka record of one topic."""

from __future__ import annotations

from datetime import UTC, datetime

from mainstem.codec.avro import Encoder
from mainstem.codec.coerce import Coercer
from mainstem.codec.headers import write_headers
from mainstem.event import Event
from mainstem.ingest.trace import traceparent
from mainstem.kafka.record import Record
from mainstem.project.names import event_type


class EventWriter:
    """Completes and encodes the events of one topic."""

    def __init__(self, encoder: Encoder, coercer: Coercer) -> None:
        self.topic = encoder.topic
        self._type = event_type(encoder.topic)
        self._encode = encoder.encode
        self._coerce = coercer.coerce

    def complete(self, event: Event, source: str, *, id_prefix: str = "", trace: str | None = None) -> Event:
        """The event with everything that its sender left out; `trace` is the `traceparent` that it came under."""
        now = datetime.now(UTC)
        return Event(
            id=id_prefix + event.id,
            data=event.payload,
            key=event.key,
            time=event.time or now,
            type=event.type or self._type,
            source=event.source or source,
            subject=event.subject,
            trace=traceparent(event.trace or trace),
            ingested_at=now,
            revision=event.revision,
            headers=event.headers,
        )

    def record(self, event: Event) -> Record:
        """A complete event's record. Raises Rejected, of RequestRefused's kind where fields can be named."""
        data = event.payload
        value = None if data is None else self._encode(self._coerce(data))
        return Record(self.topic, None if event.key is None else event.key.encode(), value, write_headers(event))
