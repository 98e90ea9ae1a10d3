"""One partition of a table: what is committed, and over it what the open transaction has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from itertools import chain
from typing import Any

from mainstem.process.librdkafka.coding import Coding
from mainstem.process.librdkafka.committed import Change, Committed, Position
from mainstem.process.librdkafka.windows import Ends

MISSING = object()
MOST_CACHED = 100_000
Record = tuple[str, bytes, bytes | None, None, int]
"""Topic, key, value, no headers, partition."""


class Part(MutableMapping[Any, Any]):
    """Values are objects, kept until the end of the transaction and longer: they may be changed in place, if they are
    set again. Bytes are made once for each changed key and commit. An aborted transaction leaves nothing: all objects
    go with it.

    As a mapping it is what a step gets for its table: the keys of the step's own partition.
    """

    __slots__ = ("_cache", "_changed", "_coding", "_default", "_moving", "committed", "ends")

    def __init__(self, coding: Coding, committed: Committed, default: Callable[[Any], Any]) -> None:
        self.committed = committed
        self.ends: Ends | None = None
        """Of a windowed table whose windows expire; None until it is asked for."""
        self._coding = coding
        self._default = default
        self._cache: dict[Any, Any] = {}
        self._changed: set[Any] = set()
        self._moving: list[Change] = []

    # The mapping.

    def __getitem__(self, key: Any) -> Any:
        """Where the table has a default, a key that is not there gives a new one; set it to keep it."""
        try:
            value = self._cache[key]
        except KeyError:
            value = self._load(key)
        return self._default(key) if value is MISSING else value

    def __setitem__(self, key: Any, value: Any) -> None:
        self._cache[key] = value
        self._changed.add(key)

    def __delitem__(self, key: Any) -> None:
        if self.find(key) is MISSING:
            raise KeyError(key)
        self._cache[key] = MISSING
        self._changed.add(key)

    def __contains__(self, key: object) -> bool:
        return self.find(key) is not MISSING

    def __iter__(self) -> Iterator[Any]:
        changed = [key for key in self._changed if self._cache[key] is not MISSING]
        return chain((self._coding.decode_key(encoded) for encoded, _ in self._bytes()), changed)

    def __len__(self) -> int:
        return sum(1 for _ in self._bytes()) + sum(self._cache[key] is not MISSING for key in self._changed)

    def get(self, key: Any, default: Any = None) -> Any:
        value = self.find(key)
        return default if value is MISSING else value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        value = self.find(key)
        if value is MISSING:
            value = self[key] = default
        return value

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        value = self.find(key)
        if value is not MISSING:
            del self[key]
        elif default is MISSING:
            raise KeyError(key)
        return default if value is MISSING else value

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def find(self, key: Any) -> Any:
        """MISSING where there is none."""
        try:
            return self._cache[key]
        except KeyError:
            return self._load(key)

    def pairs(self) -> Iterator[tuple[Any, Any]]:
        """Keys and values, as they are when it begins."""
        decode_key, decode_value, cache = self._coding.decode_key, self._coding.decode_value, self._cache
        changed = [(key, cache[key]) for key in self._changed]
        for encoded, value in self._bytes():
            key = decode_key(encoded)
            yield key, cache[key] if key in cache else decode_value(value)
        yield from ((key, value) for key, value in changed if value is not MISSING)

    # What a commit asks of it.

    @property
    def has_changes(self) -> bool:
        return bool(self._changed)

    def changes(self, topic: str, number: int) -> list[Record]:
        """For the changelog, each changed key once. Keys that change from here on belong to the next commit."""
        changed, self._changed = self._changed, set()
        cache, moving = self._cache, self._moving
        encode_key, encode_value, _, _ = self._coding
        begin = len(moving)
        for key in changed:
            value = cache[key]
            moving.append((encode_key(key), None if value is MISSING else encode_value(value)))
        return [(topic, key, encoded, None, number) for key, encoded in moving[begin:]]

    def keep_changes(self, offset: int | None = None) -> None:
        """What was written is committed. No changelog record up to `offset`, if it is known, is missing then."""
        moving, self._moving = self._moving, []
        if moving:
            self.committed.write(moving, offset)
        if len(self._cache) > MOST_CACHED:
            self._cache = {key: self._cache[key] for key in self._changed}
        if self.ends is not None:
            self.ends.keep()

    def drop_changes(self) -> None:
        self._cache.clear()
        self._changed.clear()
        self._moving.clear()
        if self.ends is not None:
            self.ends.drop()

    # What restoring asks of it.

    @property
    def position(self) -> Position | None:
        return self.committed.position

    def begin(self, topic: str, *, anew: bool) -> None:
        """It is to be made whole from the changelog of that id; `anew` where what is there is of no use."""
        self.drop_changes()
        self.ends = None
        if anew:
            self.committed.clear()
        self.committed.topic = topic

    def load(self, changes: Iterable[Change], offset: int) -> None:
        """Takes committed changes in; everything up to that offset is in it then."""
        self.committed.write(changes, offset)
        self._cache.clear()
        self.ends = None

    def _load(self, key: Any) -> Any:
        encoded = self.committed.get(self._coding.encode_key(key))
        if encoded is None:
            return MISSING
        value = self._cache[key] = self._coding.decode_value(encoded)
        return value

    def _bytes(self) -> Iterator[tuple[bytes, bytes]]:
        """Of what is committed, or is about to be, and was not changed since."""
        over = {self._coding.encode_key(key) for key in self._changed}
        moving = {key: value for key, value in self._moving if key not in over}
        about_to_be = [(key, value) for key, value in moving.items() if value is not None]
        committed = self.committed.items()
        hidden = over | moving.keys()
        return chain(about_to_be, (pair for pair in committed if pair[0] not in hidden))
