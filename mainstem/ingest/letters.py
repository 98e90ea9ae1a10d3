"""The dead letter of an event that never became a Kafka record: its data as JSON, with its would-be headers."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mainstem.codec.headers import CONTENT_TYPE, write_headers
from mainstem.errors import Rejected
from mainstem.event import Event
from mainstem.flow.dead_letter import Failure, dead_letter
from mainstem.kafka.record import Record
from mainstem.project.names import sink_dead_letters

JSON = b"application/json"
NOWHERE = -1
"""Partition and offset of what has never been in a topic."""
NO_TIMESTAMP = (0, 0)


@dataclass(frozen=True, slots=True)
class Unpublished:
    """An event in the shape of the message that it did not become; codec.message.Message describes the methods."""

    target: str
    key_bytes: bytes | None
    data: bytes
    attributes: Sequence[tuple[str, bytes]]

    def topic(self) -> str:
        return self.target

    def partition(self) -> int:
        return NOWHERE

    def offset(self) -> int:
        return NOWHERE

    def key(self) -> bytes | None:
        return self.key_bytes

    def value(self) -> bytes | None:
        return self.data

    def headers(self) -> Sequence[tuple[str, bytes]] | None:
        return self.attributes

    def timestamp(self) -> tuple[int, int]:
        return NO_TIMESTAMP


def letter_for(event: Event, topic: str, integration: str, source: str, error: Rejected) -> Record:
    """The record for `<integration>.<source>.dlq`."""
    attributes = [pair for pair in write_headers(event) if pair[0] != CONTENT_TYPE]
    message = Unpublished(
        topic,
        None if event.key is None else event.key.encode(),
        json.dumps(event.payload, default=_plain).encode(),
        [*attributes, (CONTENT_TYPE, JSON)],
    )
    failure = Failure(error, f"{integration}.{source}", "ingest")
    return dead_letter(message, failure, sink_dead_letters(integration, source))


def _plain(value: Any) -> Any:
    """What JSON has no type for: bytes as base64, a mapping as an object, the rest (decimals) as text."""
    if isinstance(value, (bytes, bytearray)):
        return b64encode(value).decode()
    if hasattr(value, "keys"):
        return {name: value[name] for name in value.keys()}  # noqa: SIM118 - a mapping that need not be a dict
    return str(value)
