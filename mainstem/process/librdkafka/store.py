"""A table's store: committed bytes, and over them what the open transaction has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.stores.base import Store as BaseStore
from faust.streams import current_event
from faust.types import TP

MISSING = object()
MOST_CACHED = 100_000


class Part:
    """One partition. `changed` keys differ from what is committed; `moving` ones are being written to the changelog."""

    __slots__ = ("cache", "changed", "committed", "moving", "offset")

    def __init__(self) -> None:
        self.committed: dict[bytes, bytes] = {}
        self.offset: int | None = None
        self.cache: dict[Any, Any] = {}
        self.changed: set[Any] = set()
        self.moving: dict[bytes, bytes | None] = {}

    def load(self, items: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Takes committed changes in."""
        committed = self.committed
        for key, value in items:
            if value is None:
                committed.pop(key, None)
            else:
                committed[key] = value
        self.offset = offset
        self.cache.clear()


class OverlayStore(BaseStore[Any, Any]):
    """Values are objects in a cache and may be changed in place, if they are set again; bytes are made once for each
    commit. An aborted transaction leaves nothing: the cache goes with it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.url.scheme != "memory":
            raise ImproperlyConfigured(f"tables are kept in memory:// and in their changelogs, not in {self.url}")
        self._owner: Any = self.table
        self.parts: dict[int, Part] = {}

    def open(self, partition: int) -> Part:
        return self.parts.setdefault(partition, Part())

    def leave(self, partitions: set[int]) -> None:
        """They are others' now."""
        for partition in partitions:
            self.parts.pop(partition, None)

    # The mapping that Faust's table is.

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not MISSING

    def __getitem__(self, key: Any) -> Any:
        value = self._find(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        value = self._find(key)
        return default if value is MISSING else value

    def __setitem__(self, key: Any, value: Any) -> None:
        part = self._part(key)
        if part is None:
            raise RuntimeError("a table can be changed only while an event is processed")
        part.cache[key] = value
        part.changed.add(key)

    def __delitem__(self, key: Any) -> None:
        for part in self._candidates(key):
            part.cache[key] = MISSING
            part.changed.add(key)

    def pop(self, key: Any, default: Any = None) -> Any:
        value = self._find(key)
        if value is MISSING:
            return default
        del self[key]
        return value

    def items(self) -> Any:
        return list(self._items())

    def keys(self) -> Any:
        return [key for key, _ in self._items()]

    def values(self) -> Any:
        return [value for _, value in self._items()]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self._items())

    def clear(self) -> None:
        for key in self.keys():
            del self[key]

    # What Faust asks of a store besides.

    def reset_state(self) -> None:
        self.parts.clear()

    def persisted_offset(self, tp: TP) -> int | None:
        part = self.parts.get(tp.partition)
        return part.offset if part else None

    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> None:
        raise NotImplementedError("see restoring")

    async def backup_partition(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError("the changelog is the backup")

    def restore_backup(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError("the changelog is the backup")

    # What a commit asks of it.

    def has_changes(self) -> bool:
        return any(part.changed for part in self.parts.values())

    def write_changes(self, write: Callable[..., None]) -> None:
        """Each changed key once. Keys that change from here on belong to the next commit."""
        topic = self._owner.changelog_topic_name
        for number, part in self.parts.items():
            changed, part.changed = part.changed, set()
            for key in changed:
                value = part.cache[key]
                encoded_key = self._encode_key(key)
                encoded = None if value is MISSING else self._encode_value(value)
                part.moving[encoded_key] = encoded
                write(topic, encoded_key, encoded, number)

    def keep_changes(self) -> None:
        for part in self.parts.values():
            for key, value in part.moving.items():
                if value is None:
                    part.committed.pop(key, None)
                else:
                    part.committed[key] = value
            part.moving = {}
            if len(part.cache) > MOST_CACHED and not part.changed:
                part.cache.clear()

    def drop_changes(self) -> None:
        for part in self.parts.values():
            part.cache.clear()
            part.changed.clear()
            part.moving = {}

    def _find(self, key: Any) -> Any:
        for part in self._candidates(key):
            value = part.cache.get(key)
            if value is None and key not in part.cache:
                encoded = part.committed.get(self._encode_key(key))
                if encoded is None:
                    continue
                value = part.cache[key] = self._decode_value(encoded)
            if value is not MISSING:
                return value
        return MISSING

    def _part(self, key: Any) -> Part | None:
        """Where the current event belongs, or the key where the table's own partitioner is used."""
        event = current_event()
        if event is None:
            return None
        if self._owner.use_partitioner:
            topic = self._owner.changelog_topic_name
            return self.open(self.app.producer.key_partition(topic, self._encode_key(key)).partition)
        return self.open(event.message.partition)

    def _candidates(self, key: Any) -> tuple[Part, ...]:
        part = self._part(key)
        return tuple(self.parts.values()) if part is None else (part,)

    def _items(self) -> Iterator[tuple[Any, Any]]:
        for part in list(self.parts.values()):
            over = {self._encode_key(key) for key in part.changed}
            for encoded, value in list({**part.committed, **part.moving}.items()):
                if encoded not in over and value is not None:
                    yield self._owner._to_key(self._decode_key(encoded)), self._decode_value(value)
            for key in list(part.changed):
                if part.cache[key] is not MISSING:
                    yield key, part.cache[key]
