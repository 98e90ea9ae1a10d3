"""What a step gets and returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstem.process.librdkafka.fetching import Message

Headers = Sequence[tuple[str, bytes]]


class Event:
    """One record: decoded, or to be encoded. A step returns what it makes of it (`event.with_value(...)`), or new ones.

    Where a record that was received comes from is asked of it only when somebody looks.
    """

    __slots__ = ("_record", "headers", "key", "value")

    def __init__(
        self, key: bytes | None, value: Any, headers: Headers | None = None, record: Message | None = None
    ) -> None:
        """`record` is what was received."""
        self.key = key
        self.value = value
        self.headers = headers
        self._record = record

    @property
    def topic(self) -> str:
        """Where it was received; empty for one that was not."""
        return "" if self._record is None else self._record.topic()

    @property
    def partition(self) -> int:
        """-1 for one that was not received."""
        return -1 if self._record is None else self._record.partition()

    @property
    def offset(self) -> int:
        """-1 for one that was not received."""
        return -1 if self._record is None else self._record.offset()

    @property
    def timestamp_ms(self) -> int:
        """The record's; 0 for one that was not received."""
        return 0 if self._record is None else self._record.timestamp()[1]

    def with_value(self, value: Any, key: bytes | None = None) -> Event:
        """Another value, and another key if one is given; the headers stay."""
        return Event(self.key if key is None else key, value, self.headers)
