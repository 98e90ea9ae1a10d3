"""What is committed of one partition of a table, as bytes: here in memory, and what any such keeper has to be."""

from __future__ import annotations

from collections.abc import Iterable
from time import time
from typing import NamedTuple, Protocol

Change = tuple[bytes, bytes | None]
"""A key and its value; None where the key is deleted."""


class Position(NamedTuple):
    """How far into its changelog something is: no record up to `offset` is missing, later ones may be in it."""

    offset: int
    topic: str
    """Kafka's id of the changelog: one that is made anew has another."""
    at_s: float
    """When that was so, in Unix seconds."""


class Committed(Protocol):
    """Committed bytes by key, and how far into the changelog they are."""

    topic: str
    """Kafka's id of the changelog that is written and read now."""

    @property
    def position(self) -> Position | None: ...
    def get(self, key: bytes) -> bytes | None: ...
    def items(self) -> Iterable[tuple[bytes, bytes]]: ...
    def __len__(self) -> int:
        """About how many keys there are."""

    def write(self, changes: Iterable[Change], offset: int | None) -> None:
        """Takes changes in, and with them the position, if it is known."""

    def clear(self) -> None:
        """Forgets everything: it is to be read anew."""

    def close(self) -> None: ...


class InMemory:
    """Kept for as long as the process lives."""

    def __init__(self) -> None:
        self.topic = ""
        self.position: Position | None = None
        self._bytes: dict[bytes, bytes] = {}
        self.get = self._bytes.get

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        return list(self._bytes.items())

    def __len__(self) -> int:
        return len(self._bytes)

    def write(self, changes: Iterable[Change], offset: int | None) -> None:
        held = self._bytes
        for key, value in changes:
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
        if offset is not None:
            self.position = Position(offset, self.topic, time())

    def clear(self) -> None:
        self._bytes.clear()
        self.position = None

    def close(self) -> None: ...
