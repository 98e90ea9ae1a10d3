"""A next offset with a note: what a group commits, and finds again."""

from __future__ import annotations

from typing import Self


class Position(int):
    """The next offset to read. `note` is what its committer wants to find beside it (Kafka: its metadata, 4 kB)."""

    note: str

    def __new__(cls, offset: int, note: str = "") -> Self:
        position = super().__new__(cls, offset)
        position.note = note
        return position


def note_of(offset: int | None) -> str:
    """The note beside an offset; an offset that is just a number has none."""
    return offset.note if isinstance(offset, Position) else ""


def is_same(one: int | None, other: int | None) -> bool:
    """Whether offset and note are the same."""
    return one == other and note_of(one) == note_of(other)
