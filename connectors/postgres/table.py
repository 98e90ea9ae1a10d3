"""The target table, as its settings name it and as the database's catalogue describes it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import postgres, pq, sql
from psycopg.types.bool import BoolBinaryDumper
from psycopg.types.datetime import DateBinaryDumper, TimeBinaryDumper, TimedeltaBinaryDumper

from mainstem.errors import TARGET_NOT_READY, Misconfigured

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Table:
    """Where to write and how: `key`, `replace_by` and `version` as in the sink's settings."""

    name: str
    key: tuple[str, ...] = ()
    replace_by: str | None = None
    version: str | None = None

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(*self.name.split(".", 1))

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that every row must have, with a value: a null would never be found again."""
        identifying = (self.replace_by,) if self.replace_by else self.key
        return (*identifying, self.version) if self.version else identifying

    @property
    def is_merged(self) -> bool:
        """Whether rows that are there already are changed."""
        return bool(self.replace_by or self.key)


@dataclass(frozen=True, slots=True)
class Column:
    """How a column's values travel."""

    name: str
    staged_as: str
    """Its type in the staging table. Integers travel wider than they are stored: psycopg cuts one that is too long."""
    dumped_as: int
    """The oid of the type that psycopg makes of a value."""
    limit: int | None = None
    """What an integer must stay below, in the narrower type that it is stored as."""
    cast: str | None = None
    """For a type that psycopg cannot write in binary: it travels as text, and the merge casts it to this."""


_TEXT = postgres.types["text"].oid
_LIMITS = {"int2": 2**15, "int4": 2**31}
_WIDER: dict[int, tuple[str, int, int | None]] = {}
for _narrow, _wide in (("int2", "int8"), ("int4", "int8"), ("float4", "float8")):
    _from, _to = postgres.types[_narrow], postgres.types[_wide]
    _WIDER[_from.oid] = (_wide, _to.oid, _LIMITS.get(_narrow))
    _WIDER[_from.array_oid] = (f"{_wide}[]", _to.array_oid, None)
_BINARY_IS_TEXT = {"textrecv", "varcharrecv", "bpcharrecv", "namerecv", "enum_recv", "xml_recv", "citextrecv"}

_CELLS = {
    postgres.types[name].oid: name
    for name in (
        "text", "int8", "float8", "bool", "bytea", "numeric", "date", "time", "timestamp", "timestamptz", "uuid",
    )
}  # fmt: skip

_COLUMNS = """
WITH RECURSIVE resolved AS (
    SELECT attname AS name, attnum, atttypid AS declared, atttypid AS type, atttypmod AS modifier
    FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT name, attnum, declared, typbasetype, typtypmod
    FROM resolved JOIN pg_type ON pg_type.oid = type WHERE typtype = 'd'
)
SELECT name, type::int8, format_type(type, modifier), format_type(declared, -1), typreceive::text
FROM resolved JOIN pg_type ON pg_type.oid = type WHERE typtype <> 'd' ORDER BY attnum
"""


def read_columns(connection: Connection, table: Table) -> Mapping[str, Column]:
    """The table's columns by name. Raises Misconfigured when the table or a column of the settings is missing."""
    found = connection.execute("SELECT to_regclass(%s)::oid", [table.identifier.as_string(connection)]).fetchone()
    if found is None or found[0] is None:
        raise Misconfigured(f"table {table.name} does not exist in the target", code=TARGET_NOT_READY)
    described = connection.execute(_COLUMNS, [found[0]]).fetchall()
    columns = {row[0]: _column(connection, row) for row in described}
    require(table, columns, {*table.key, *table.required})
    return columns


def require(table: Table, columns: Mapping[str, Column], names: Collection[str]) -> None:
    """Raises Misconfigured when one of the names is not a column of the table."""
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise Misconfigured(f"table {table.name} has no column {', '.join(sorted(unknown))}", code=TARGET_NOT_READY)


def _column(connection: Connection, described: tuple[Any, ...]) -> Column:
    name, oid, stored_as, declared, receive = described
    if oid in _WIDER:
        return Column(name, *_WIDER[oid])
    if receive in _BINARY_IS_TEXT:
        return Column(name, stored_as, _TEXT)
    try:
        connection.adapters.get_dumper_by_oid(oid, pq.Format.BINARY)
    except psycopg.ProgrammingError:
        return Column(name, "text", _TEXT, cast=declared)
    return Column(name, stored_as, oid)


def cells_of(columns: Mapping[str, Column], names: Sequence[str]) -> Mapping[str, str] | None:
    """As what these columns travel, by their names in `Undecoded`; None where one is missing or travels otherwise."""
    cells = {name: _CELLS.get(columns[name].dumped_as) for name in names if name in columns}
    found = {name: cell for name, cell in cells.items() if cell is not None}
    return found if len(found) == len(names) else None


def refuse_look_alikes(connection: Connection) -> None:
    """Makes psycopg check the types that it trusts: it writes any object as true, and a number's bytes as a time."""
    for accepted, dumper in ((bool, _Bool), (dt.date, _Date), (dt.time, _Time), (dt.timedelta, _Interval)):
        connection.adapters.register_dumper(accepted, dumper)


def _exactly(accepted: type, value: object) -> None:
    if type(value) is not accepted:
        raise TypeError(f"expected {accepted.__name__}, got {type(value).__name__}")


class _Bool(BoolBinaryDumper):
    def dump(self, obj: bool) -> Any:
        _exactly(bool, obj)
        return super().dump(obj)


class _Date(DateBinaryDumper):
    def dump(self, obj: dt.date) -> Any:
        _exactly(dt.date, obj)
        return super().dump(obj)


class _Time(TimeBinaryDumper):
    def dump(self, obj: dt.time) -> Any:
        _exactly(dt.time, obj)
        return super().dump(obj)


class _Interval(TimedeltaBinaryDumper):
    def dump(self, obj: dt.timedelta) -> Any:
        _exactly(dt.timedelta, obj)
        return super().dump(obj)
