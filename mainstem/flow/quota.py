"""How many records may be on their way at once; the others wait where they came in, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mainstem.flow.item import Item


class Quota:
    """Bounds records, and their bytes before they were decoded. One is always let through, however large."""

    def __init__(self, records: int, size_bytes: int) -> None:
        self._records = records
        self._bytes = size_bytes
        self._taken = 0
        self._taken_bytes = 0
        self._waiting: deque[Item] = deque()

    @property
    def has_room(self) -> bool:
        """Whether more may be fetched."""
        return not self._waiting and self._has_room

    @property
    def _has_room(self) -> bool:
        return not self._taken or (self._taken < self._records and self._taken_bytes < self._bytes)

    def put(self, item: Item) -> None:
        self._waiting.append(item)

    def take(self) -> Iterator[Item]:
        """Those for which there is room now."""
        while self._waiting and self._has_room:
            item = self._waiting.popleft()
            self._taken += 1
            self._taken_bytes += _size(item)
            yield item

    def free(self, item: Item) -> None:
        """It is not on its way any more."""
        self._taken -= 1
        self._taken_bytes -= _size(item)


def _size(item: Item) -> int:
    return len(item.message.value() or b"") + len(item.message.key() or b"")
