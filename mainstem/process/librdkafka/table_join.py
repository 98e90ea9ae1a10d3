"""A join of two tables by key, each the newest value of a compacted topic's keys: values and decisions, no I/O.

What comes out is a table again: each change of either side gives the key's joined value anew, or a tombstone where
there is none any more. After Kafka Streams' KTable-KTable join.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, TypeVar

from mainstem.process.librdkafka.join_kind import Kind, Side

Rows = MutableMapping[bytes, bytes]
T = TypeVar("T")


class Nothing:
    """There is nothing to tell."""


NOTHING = Nothing()


class TableJoin:
    """The join of one partition."""

    def __init__(self, kind: Kind, left: Rows, right: Rows) -> None:
        self._kind = kind
        self._rows = {Side.LEFT: left, Side.RIGHT: right}

    def see(
        self, side: Side, key: bytes, value: bytes | None, join: Callable[[bytes | None, bytes | None], T]
    ) -> T | Nothing | None:
        """One change: what is joined now, None where nothing is any more, or NOTHING where nothing was.

        Nothing is changed if `join` raises.
        """
        before = {each: rows.get(key) for each, rows in self._rows.items()}
        now = {**before, side: value}
        told: T | Nothing | None = NOTHING
        if self._is_row(now):
            told = join(now[Side.LEFT], now[Side.RIGHT])
        elif self._is_row(before):
            told = None
        if value is not None:
            self._rows[side][key] = value
        elif before[side] is not None:
            del self._rows[side][key]
        return told

    def _is_row(self, values: dict[Side, Any]) -> bool:
        left, right = values[Side.LEFT] is not None, values[Side.RIGHT] is not None
        if self._kind is Kind.INNER:
            return left and right
        return left if self._kind is Kind.LEFT else left or right
