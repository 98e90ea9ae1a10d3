"""How much of what was fetched ahead becomes one batch: bounded in records and in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

STEP = 4
"""A slice has at most so many times the records that are in the batch already: sizes that jump do not burst it."""


class Sized(Protocol):
    """A consumed message. Its length is its value's, told without a copy."""

    def __len__(self) -> int: ...
    def key(self) -> bytes | None: ...
    def headers(self) -> Any: ...


class Portion:
    """One batch that fills up slice by slice. A record larger than the bound still makes a batch of its own."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._largest = 1
        self.records = 0
        self.bytes = 0
        """Values, keys and headers. Reading headers costs as much as all the rest: one record speaks for its slice."""

    def add(self, messages: Sequence[Sized]) -> None:
        """What was taken; none at all is allowed."""
        if not messages:
            return
        around = _headers_bytes(messages[0])
        sizes = [len(message) + len(message.key() or b"") + around for message in messages]
        self.records += len(sizes)
        self.bytes += sum(sizes)
        self._largest = max(self._largest, *sizes)

    def room(self) -> int:
        """How many records to take next: 0 when the batch is full; 1 to begin with."""
        if self.records == 0:
            return 1
        fitting = (self._max_bytes - self.bytes) // self._largest
        return max(0, min(fitting, self._max_records - self.records, STEP * self.records))


def _headers_bytes(message: Sized) -> int:
    return sum(len(name) + len(value or b"") for name, value in message.headers() or ())
