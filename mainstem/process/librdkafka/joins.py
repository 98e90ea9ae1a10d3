"""Joins of two topics as steps: their state is in tables of the app, so it is part of the transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from mainstem.process.librdkafka.batch import Step, agent_for
from mainstem.process.librdkafka.event import Event
from mainstem.process.librdkafka.join_kind import Kind, Side
from mainstem.process.librdkafka.stream_join import Entry, Pair, StreamJoin, Window
from mainstem.process.librdkafka.table_join import Nothing, TableJoin

Decode = Callable[[bytes], Any]
Join = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Joined:
    """What is joined, and how. `name` is part of the names of its changelogs."""

    name: str
    left: str
    right: str
    writes: str
    join: Join
    kind: Kind
    decode_left: Decode
    decode_right: Decode
    encode: Callable[[Any], bytes]
    partitions: int | None

    def __call__(self, left: bytes | None, right: bytes | None) -> Any:
        """The author's function on what the bytes mean."""
        return self.join(
            None if left is None else self.decode_left(left), None if right is None else self.decode_right(right)
        )


class _Partitions:
    """Makes a join for each partition that this worker has, anew after each rebalance and abort."""

    def __init__(self, app: Any, make: Callable[[Any], Any]) -> None:
        self._app = app
        self._make = make
        self._generation: int | None = None
        self._made: dict[int, tuple[Any, Any]] = {}

    def of(self, event: Event, tables: Any) -> Any:
        if self._generation != self._app.generation:
            self._generation = self._app.generation
            self._made.clear()
        left = tables[Side.LEFT.name]
        known = self._made.get(event.partition)
        # A batch that outlives a rebalance still has the partition's former tables: nobody may go on with those.
        if known is None or known[0] is not left:
            known = self._made[event.partition] = (left, self._make(tables))
        return known[1]


def join_streams(app: Any, joined: Joined, window: Window) -> None:
    """Registers the steps of both sides."""
    partitions = _Partitions(
        app, lambda tables: StreamJoin(joined.kind, window, tables[Side.LEFT.name], tables[Side.RIGHT.name])
    )

    def see(side: Side, event: Event, tables: Any) -> list[Event]:
        if event.key is None or event.value is None:
            return []
        outputs: list[Event] = []

        def emit(pair: Pair) -> None:
            value = joined(pair.left, pair.right)
            if value is not None:
                outputs.append(Event(pair.key, value))

        join: StreamJoin = partitions.of(event, tables)
        entry = Entry(event.timestamp_ms, event.offset, event.key)
        if not join.see(side, entry, event.value, emit):
            app.consumer.account.tell(app.engine.observer.late, TP(event.topic, event.partition), event.offset)
        return outputs

    _register(app, joined, see)


def join_tables(app: Any, joined: Joined) -> None:
    """Registers the steps of both sides."""
    partitions = _Partitions(
        app, lambda tables: TableJoin(joined.kind, tables[Side.LEFT.name], tables[Side.RIGHT.name])
    )

    def see(side: Side, event: Event, tables: Any) -> list[Event]:
        if event.key is None:
            return []
        join: TableJoin = partitions.of(event, tables)
        told = join.see(side, event.key, event.value, joined)
        return [] if isinstance(told, Nothing) else [Event(event.key, told)]

    _register(app, joined, see)


def _register(app: Any, joined: Joined, see: Callable[[Side, Event, Any], list[Event]]) -> None:
    options: dict[str, Any] = {"partitions": joined.partitions} if joined.partitions else {}
    tables = {
        side.name: app.Table(f"{joined.name}-{side.name.lower()}", key_type=bytes, value_type=bytes, **options)
        for side in Side
    }

    def encode(value: Any) -> bytes | None:
        return None if value is None else joined.encode(value)

    for side, topic in zip(Side, (joined.left, joined.right), strict=True):

        def step(event: Event, given: Any, side: Side = side) -> list[Event]:
            return see(side, event, given)

        step.__name__ = f"{joined.name}-{side.name.lower()}"
        agent_for(app, topic, Step(step, joined.writes, tables, _bytes, encode, 1))


def _bytes(value: bytes | None) -> bytes | None:
    return value
