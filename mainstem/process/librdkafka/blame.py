"""Which records have failed, how often, and which of them are given up: no I/O."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)


class RecordFailed(Exception):
    """One record of a batch failed, and what it has done to a table has to be undone."""

    def __init__(self, offset: int, error: Exception) -> None:
        super().__init__(offset, error)
        self.offset = offset
        self.error = error


class Blame(Generic[P]):
    """Remembers failures over the replays that they cause. A record that failed more than `retries` times is poison:
    its next delivery is its dead letter."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._failures: dict[tuple[P, int], tuple[int, BaseException]] = {}
        self._poison: set[tuple[P, int]] = set()

    def failed(self, partition: P, offset: int, error: BaseException) -> bool:
        """Whether it is poison from now on."""
        key = (partition, offset)
        times = self._failures.get(key, (0, error))[0] + 1
        self._failures[key] = (times, error)
        if times > self._retries:
            self._poison.add(key)
        return key in self._poison

    def poison(self, partition: P, offset: int) -> BaseException | None:
        """Why the record is poison; None for one that is not."""
        key = (partition, offset)
        return self._failures[key][1] if key in self._poison else None

    def __bool__(self) -> bool:
        """Whether there is any poison."""
        return bool(self._poison)

    def committed(self, offsets: Mapping[P, int]) -> None:
        """Forgets what lies before these offsets: it is behind us."""
        if not self._failures:
            return
        for key in [key for key in self._failures if key[1] < offsets.get(key[0], 0)]:
            del self._failures[key]
            self._poison.discard(key)
