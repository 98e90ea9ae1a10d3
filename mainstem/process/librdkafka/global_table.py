"""Reference data that every worker has all of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NoReturn, cast

from faust.types import TP

from mainstem.process.librdkafka.committed import Change, InMemory, Position
from mainstem.process.librdkafka.part import Part
from mainstem.process.librdkafka.store import OverlayStore
from mainstem.process.librdkafka.tables import Table

READ_ONLY = "a global table is changed by writing to its topic, not by setting its keys"


class View(Mapping[Any, Any]):
    """What a step gets: nothing in it can be set."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def __getitem__(self, key: Any) -> Any:
        return self._part[key]

    def get(self, key: Any, default: Any = None) -> Any:
        return self._part.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._part

    def __iter__(self) -> Iterator[Any]:
        return iter(self._part)

    def __len__(self) -> int:
        return len(self._part)


class Slice:
    """One partition of the topic. All of them are read into the same keys."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._topic = ""
        self.position: Position | None = None

    def begin(self, topic: str, *, anew: bool) -> None:
        """Raises RuntimeError where it would have to be read anew: keys of the other partitions would go too."""
        if anew and self.position is not None:
            raise RuntimeError("the topic of a global table does not go on from where it was read")
        self._topic = topic

    def load(self, changes: Iterable[Change], offset: int) -> None:
        self._part.load(((key, value) for key, value in changes if key is not None), offset)
        self.position = Position(offset, self._topic, float("inf"))  # it is read as long as it is there


class GlobalStore(OverlayStore):
    """Of every partition, in memory."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self._owner.decode is not None:
            self._coding = self._coding._replace(decode_value=self._owner.decode)
        self.all = Part(self._coding, InMemory(), self._owner.__missing__)
        self._slices: dict[int, Slice] = {}

    def needed(self, actives: Collection[TP]) -> Mapping[TP, Slice]:
        """What is not whole yet."""
        return {tp: part for tp, part in self.followed(actives).items() if part.position is None}

    def followed(self, actives: Collection[TP]) -> Mapping[TP, Slice]:
        count = self.app.consumer.topic_partitions(self.topic)
        if not count:
            raise RuntimeError(f"{self.topic}, the topic of a global table, does not exist")
        for number in range(count):
            self._slices.setdefault(number, Slice(self.all))
        return {TP(self.topic, number): part for number, part in self._slices.items()}

    def leave(self, partitions: set[int]) -> None:
        """It keeps all."""

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(READ_ONLY)

    def __delitem__(self, key: Any) -> NoReturn:
        raise TypeError(READ_ONLY)

    def items(self) -> Any:
        return list(self.all.pairs())

    def __len__(self) -> int:
        return len(self.all)

    def clear(self) -> NoReturn:
        raise TypeError(READ_ONLY)

    def reset_state(self) -> None:
        self.all.committed.clear()
        self.all.drop_changes()
        self._slices.clear()

    def persisted_offset(self, tp: TP) -> int | None:
        part = self._slices.get(tp.partition)
        return part.position.offset if part is not None and part.position is not None else None

    def _candidates(self, key: Any) -> tuple[Part, ...]:
        return (self.all,)


class GlobalTable(Table):
    """Every worker reads all of its topic, to the end before its first event, and then on as it grows.

    What an event sees is what had arrived by then: two workers, or a repeated event, may see different states, as
    with a GlobalKTable of Kafka Streams.
    """

    def __init__(self, *args: Any, decode: Callable[[bytes], Any] | None = None, **options: Any) -> None:
        self.decode = decode
        super().__init__(*args, **options)

    async def on_start(self) -> None:
        """Its topic is made where it is its own changelog; another's has to be there."""
        await self.add_runtime_dependency(self.data)
        if self.changelog_topic.internal:
            await self.changelog_topic.maybe_declare()

    def view(self, partition: int, topic: str) -> View:
        return View(cast(GlobalStore, self.data).all)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(READ_ONLY)

    def __delitem__(self, key: Any) -> NoReturn:
        raise TypeError(READ_ONLY)

    def clear(self) -> NoReturn:
        raise TypeError(READ_ONLY)

    def _new_store_by_url(self, url: Any) -> GlobalStore:
        return self._store_of(GlobalStore, "memory://")
