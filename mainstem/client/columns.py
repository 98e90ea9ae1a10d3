"""Events of one topic as Arrow columns, for Parquet, DuckDB and data frames: no Python object is made for a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstem.codec.columns import ColumnDecoder
from mainstem.codec.headers import as_dict
from mainstem.codec.message import Message, framed_value, origin_of
from mainstem.errors import Rejected
from mainstem.event import Origin

if TYPE_CHECKING:
    from mainstem.codec.native import _avro


@dataclass(frozen=True, slots=True)
class EventColumns:
    """The data of some events, a row for each: `pyarrow.record_batch(columns)` and its like take it without a copy."""

    topic: str
    data: _avro.Columns
    partitions: list[int]
    """Of each row's event."""
    offsets: list[int]
    """Of each row's event."""
    deleted: list[tuple[Origin, bytes | None]]
    """The tombstones, with their keys: they have no data, so they are no rows."""
    refused: list[tuple[Origin, Rejected]]
    """The events that are no rows because their bytes do not decode, and why."""

    @property
    def origins(self) -> list[Origin]:
        """Where each row's event stands; made when it is asked for, for it is a Python object for each row."""
        places = zip(self.partitions, self.offsets, strict=True)
        return [Origin(self.topic, partition, offset) for partition, offset in places]

    def __len__(self) -> int:
        return len(self.data)

    def __arrow_c_schema__(self) -> object:
        return self.data.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return self.data.__arrow_c_array__(requested_schema)


def read_columns(messages: Sequence[Message], decoder: ColumnDecoder) -> EventColumns:
    """The messages of the decoder's topic, in their order. Raises Unreachable when a schema cannot be asked for."""
    data, refused = decoder.decode([_value(message) for message in messages])
    rows = [messages[number] for number in data.rows]
    return EventColumns(
        decoder.topic,
        data,
        [message.partition() or 0 for message in rows],
        [message.offset() or 0 for message in rows],
        [(origin_of(messages[number]), messages[number].key()) for number in data.tombstones],
        [(origin_of(messages[number]), why) for number, why in refused],
    )


def _value(message: Message) -> bytes | Rejected | None:
    value = message.value()
    try:
        return value if value is None else framed_value(value, as_dict(message.headers()))
    except Rejected as refused:
        return refused
