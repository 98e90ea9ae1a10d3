"""A consumed record without a client."""

from __future__ import annotations

from collections.abc import Sequence

_NO_TIMESTAMP = (0, 0)

Headers = Sequence[tuple[str, bytes]]


class RawMessage:
    """One consumed record. Offers the methods of confluent_kafka's Message, so the same code reads both."""

    __slots__ = ("_headers", "_key", "_offset", "_partition", "_timestamp", "_topic", "_value")

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a Kafka record
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp: tuple[int, int] = _NO_TIMESTAMP,
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._offset = offset
        self._key = key
        self._value = value
        self._headers = headers
        self._timestamp = timestamp

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        """None for a tombstone."""
        return self._value

    def headers(self) -> Headers:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        """Kind (0: none, 1: set by the producer, 2: by the broker) and milliseconds since the epoch."""
        return self._timestamp
