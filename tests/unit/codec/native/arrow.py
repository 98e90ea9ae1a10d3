"""What columns say, as the rows that decoding makes of the same bytes."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pyarrow

from mainstem.codec.native import _avro
from mainstem.codec.native.loading import Table

FRAME = b"\x00\x00\x00\x00\x01"
MAX_BYTES = 8 * 1024 * 1024


def load(writer: Any, values: list[bytes | None], reader: Any = None, **limits: int) -> _avro.Columns:
    """Bare Avro values, loaded as framed ones."""
    table = Table(writer if reader is None else reader)
    loader = table.loader(None if reader is None else writer, **limits)
    framed = [value if value is None else FRAME + value for value in values]
    return _avro.decode_columns(framed, {1: loader}, table.layout, _unframed, MAX_BYTES)


def _unframed(value: bytes) -> str:
    return "not framed"


def array_of(columns: _avro.Columns) -> Any:
    array = pyarrow.array(columns)
    array.validate(full=True)
    return array


def rows_of(schema: Any, columns: _avro.Columns) -> list[Any]:
    named: dict[str, Any] = {}
    _name_all(schema, named)
    return [row(schema, value, named) for value in array_of(columns).to_pylist()]


def _name_all(schema: Any, named: dict[str, Any]) -> None:
    for part in schema if isinstance(schema, list) else ():
        _name_all(part, named)
    if not isinstance(schema, dict):
        return
    if "name" in schema:
        named[schema["name"]] = schema
    for part in (schema.get("items"), schema.get("values"), *(field["type"] for field in schema.get("fields", ()))):
        _name_all(part, named)


def row(schema: Any, value: Any, named: dict[str, Any]) -> Any:
    """The Python value that decoding makes, from the one that Arrow makes."""
    if value is None:
        return None
    schema = named.get(schema, schema) if isinstance(schema, str) else schema
    if isinstance(schema, list):
        return _of_union([branch for branch in schema if branch != "null"], value, named)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        return {field["name"]: row(field["type"], value[field["name"]], named) for field in schema["fields"]}
    if kind == "array":
        return [row(schema["items"], item, named) for item in value]
    if kind == "map":
        return {key: row(schema["values"], item, named) for key, item in value}
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def _of_union(branches: list[Any], value: Any, named: dict[str, Any]) -> Any:
    if len(branches) == 1:
        return row(branches[0], value, named)
    given = [(branch, item) for branch, item in zip(branches, value.values(), strict=True) if item is not None]
    assert len(given) == 1
    return row(*given[0], named)


def comparable(value: Any) -> Any:
    """With its fields sorted, and its floats of 32 bits.

    Decoding keeps the writer's order, columns have the reader's; a whole number that a reader promotes to a float has
    64 bits in a row, and 32 in a column.
    """
    if isinstance(value, dict):
        return {key: comparable(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, float) and abs(value) < 1e38:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    return value
