"""What is behind one of Faust's tables: its partitions, each with what is committed and what has changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.stores.base import Store as BaseStore
from faust.streams import current_event
from faust.types import TP

from mainstem.process.librdkafka.coding import coding
from mainstem.process.librdkafka.committed import Committed, InMemory
from mainstem.process.librdkafka.now import Now, Place, current
from mainstem.process.librdkafka.part import MISSING, Part, Record
from mainstem.process.librdkafka.restoring import Part as Restored
from mainstem.process.librdkafka.rocks import OnDisk
from mainstem.process.librdkafka.windows import Ends


class OverlayStore(BaseStore[Any, Any]):
    """The mapping that Faust's table is: within an event it is the event's partition, else all that are held."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.url.scheme not in {"memory", "rocksdb"}:
            raise ImproperlyConfigured(f"tables are kept in memory:// or rocksdb://, not in {self.url}")
        self._owner: Any = self.table
        self._coding = coding(self)
        self.parts: dict[int, Part] = {}
        """Those whose events are this worker's."""
        self._standbys: dict[int, Part] = {}
        """Others', read on, to be soon whole when they become this worker's."""

    @property
    def topic(self) -> str:
        """The changelog's name."""
        name: str = self._owner.changelog_topic_name
        return name

    def open(self, partition: int) -> Part:
        part = self.parts.get(partition)
        if part is None:
            part = self.parts[partition] = self._taken(partition)
        return part

    def leave(self, partitions: set[int]) -> None:
        """They are others' now."""
        for partition in partitions:
            part = self.parts.pop(partition, None)
            if part is None:
                continue
            part.drop_changes()
            if self._owner.standby:
                self._standbys[partition] = part
            else:
                part.committed.close()

    def needed(self, actives: Collection[TP]) -> Mapping[TP, Restored]:
        """What has to be whole before events are delivered."""
        return {tp: self.open(tp.partition) for tp in actives if tp.topic == self.topic}

    def followed(self, actives: Collection[TP]) -> Mapping[TP, Restored]:
        """What is to be read on besides, since others change it."""
        if not self._owner.standby:
            return {}
        for number in range(self.app.consumer.topic_partitions(self.topic) or 0):
            if TP(self.topic, number) not in actives and number not in self._standbys:
                self._standbys[number] = self._new(number)
        return {TP(self.topic, number): part for number, part in self._standbys.items()}

    def find(self, key: Any) -> Any:
        """MISSING where there is none."""
        for part in self._candidates(key):
            value = part.find(key)
            if value is not MISSING:
                return value
        return MISSING

    # The mapping that Faust's table is.

    def __contains__(self, key: object) -> bool:
        return self.find(key) is not MISSING

    def __getitem__(self, key: Any) -> Any:
        value = self.find(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        value = self.find(key)
        return default if value is MISSING else value

    def __setitem__(self, key: Any, value: Any) -> None:
        part = self._part(key)
        if part is None:
            raise RuntimeError("a table can be changed only while an event is processed")
        part[key] = value
        if self._window is not None:
            _ends(part).add(key)

    def __delitem__(self, key: Any) -> None:
        holders = [part for part in self._candidates(key) if key in part]
        if not holders:
            raise KeyError(key)
        for part in holders:
            del part[key]

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        value = self.find(key)
        if value is not MISSING:
            del self[key]
        elif default is MISSING:
            raise KeyError(key)
        return default if value is MISSING else value

    def items(self) -> Any:
        return [pair for part in list(self.parts.values()) for pair in part.pairs()]

    def keys(self) -> Any:
        return [key for key, _ in self.items()]

    def values(self) -> Any:
        return [value for _, value in self.items()]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts.values())

    def clear(self) -> None:
        for part in self.parts.values():
            part.clear()

    # What Faust asks of a store besides.

    def reset_state(self) -> None:
        self.leave(set(self.parts))
        for part in self._standbys.values():
            part.committed.close()
        self._standbys.clear()

    def persisted_offset(self, tp: TP) -> int | None:
        part = self.parts.get(tp.partition)
        return part.position.offset if part is not None and part.position is not None else None

    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> None:
        raise NotImplementedError("see restoring")

    async def backup_partition(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError("the changelog is the backup")

    def restore_backup(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError("the changelog is the backup")

    # What a commit asks of it.

    def has_changes(self) -> bool:
        return any(part.has_changes for part in self.parts.values())

    async def close_windows(self) -> None:
        """Deletes the windows that have expired, and tells about each of them what was in it.

        Whoever is told may send: that is part of the transaction, as the deletions are.
        """
        window = self._window
        if window is None:
            return
        for number, part in list(self.parts.items()):
            if not part.has_changes:
                continue
            for key in _ends(part).take(window.stale):
                value = part.pop(key, MISSING)
                if value is not MISSING:
                    with current(Now(Place("", number, key[1][0]))):
                        await self._owner.on_window_close(key, value)

    def write_changes(self, write: Callable[[list[Record]], None]) -> None:
        """To the changelog. See Part."""
        topic = self.topic
        for number, part in self.parts.items():
            write(part.changes(topic, number))

    @property
    def is_lasting(self) -> bool:
        """What it holds is of use beyond the assignment, if it is known how far into the changelog that is."""
        return self.url.scheme == "rocksdb" or bool(self._owner.standby)

    def changelogs(self) -> list[TP]:
        """Of the partitions that it holds."""
        return [TP(self.topic, number) for number in self.parts]

    def keep_changes(self, ends: Mapping[TP, int]) -> None:
        """What was written is committed. `ends`: where changelogs ended when all before had been written by us."""
        for number, part in self.parts.items():
            end = ends.get(TP(self.topic, number))
            part.keep_changes(None if end is None else end - 1)

    def drop_changes(self) -> None:
        for part in self.parts.values():
            part.drop_changes()

    @property
    def _window(self) -> Any:
        """None where windows do not expire."""
        window = self._owner.window
        return window if window is not None and window.expires else None

    def _taken(self, partition: int) -> Part:
        standby = self._standbys.pop(partition, None)
        return self._new(partition) if standby is None else standby

    def _new(self, partition: int) -> Part:
        return Part(self._coding, self._committed(partition), self._owner.__missing__)

    def _committed(self, partition: int) -> Committed:
        if self.url.scheme == "memory":
            return InMemory()
        return OnDisk(Path(self.app.conf.tabledir) / f"{self.table_name}-{partition}.rocksdb")

    def _part(self, key: Any) -> Part | None:
        """Where the current event belongs, or the key where the table's own partitioner is used."""
        event = current_event()
        if event is None:
            return None
        if self._owner.use_partitioner:
            return self.open(self.app.producer.key_partition(self.topic, self._encode_key(key)).partition)
        return self.open(event.message.partition)

    def _candidates(self, key: Any) -> tuple[Part, ...]:
        part = self._part(key)
        return tuple(self.parts.values()) if part is None else (part,)


def _ends(part: Part) -> Ends:
    if part.ends is None:
        part.ends = Ends(part)
    return part.ends
