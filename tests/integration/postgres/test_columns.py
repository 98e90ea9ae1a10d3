from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

from connectors.postgres import PostgresSink
from mainstem import Event, Mapped, Progress, Secret, SinkIdentity

pytestmark = pytest.mark.stack
NOON = dt.datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=dt.UTC)
VALUES: Sequence[tuple[str, Any]] = [
    ("smallint", -(2**15)),
    ("integer", 2**31 - 1),
    ("bigint", -(2**63)),
    ("real", 1.5),
    ("double precision", 1e300),
    ("numeric", Decimal("123456789012345678901234567890.00001")),
    ("numeric(12,2)", Decimal("-0.01")),
    ("numeric", 7),
    ("text", "żółć \\ \t\n"),
    ("varchar(4)", "abcd"),
    ("char(4)", "ab  "),
    ("boolean", False),
    ("date", dt.date(2026, 2, 28)),
    ("time", dt.time(23, 59, 59, 999999)),
    ("timestamp", dt.datetime(2026, 1, 1)),  # noqa: DTZ001 - the column has no zone either
    ("timestamptz", NOON),
    ("interval", dt.timedelta(days=-1, seconds=5)),
    ("bytea", b"\x00\xff"),
    ("jsonb", {"a": [1, None]}),
    ("text[]", ["a", None, "b"]),
    ("integer[]", [1, 2]),
    ("mood", "calm"),
    ("mood_text", "calm"),
    ("amount", Decimal("3.50")),
    ("text", None),
]


async def write(sink: PostgresSink, *events: Sequence[Mapping[str, Any]]) -> None:
    async with sink.open(SinkIdentity("types", "all")) as target, target.transaction() as transaction:
        await transaction.write([Mapped(Event(id=str(n)), rows) for n, rows in enumerate(events)])
        await transaction.commit(Progress([]))


@pytest.mark.parametrize(("declared", "value"), VALUES)
async def test_a_value_arrives_as_it_was(
    database: str, connection: psycopg.Connection, declared: str, value: object
) -> None:
    connection.execute("CREATE TYPE mood AS ENUM ('calm', 'cross')")
    connection.execute("CREATE DOMAIN mood_text AS varchar(8) CHECK (VALUE <> '')")
    connection.execute("CREATE DOMAIN amount AS numeric(6, 2) NOT NULL")
    connection.execute(f"CREATE TABLE one (v {declared})")
    await write(PostgresSink(dsn=Secret(database), table="one"), [{"v": value}])
    assert connection.execute("SELECT v FROM one").fetchall() == [(value,)]


async def test_a_type_that_psycopg_cannot_write_travels_as_text(database: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE odd (id bit(3) PRIMARY KEY, cost money)")
    sink = PostgresSink(dsn=Secret(database), table="odd", key=("id",))
    await write(sink, [{"id": "101", "cost": "1.00"}, {"id": "101", "cost": "2.50"}])
    assert connection.execute("SELECT id::text, cost::numeric FROM odd").fetchall() == [("101", Decimal("2.50"))]


async def test_names_are_quoted(database: str, connection: psycopg.Connection) -> None:
    name, column = 'od"d; --', 'sel"ect %s'
    connection.execute("CREATE SCHEMA sales")
    connection.execute(
        sql.SQL('CREATE TABLE sales.{} ({} text PRIMARY KEY, "order" integer)').format(
            sql.Identifier(name), sql.Identifier(column)
        )
    )
    for settings in ({"key": (column,)}, {"replace_by": column}, {"key": (column,), "replace_by": column}):
        sink = PostgresSink(dsn=Secret(database), table=f"sales.{name}", **settings)
        await write(sink, [{column: "a", "order": 1}], [{column: "a", "order": 2}])
    found = connection.execute(sql.SQL("SELECT * FROM sales.{}").format(sql.Identifier(name))).fetchall()
    assert found == [("a", 2)]


async def test_a_column_that_a_row_lacks_keeps_its_default_or_its_old_value(
    database: str, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE TABLE part (id integer PRIMARY KEY, a integer DEFAULT 7, b integer DEFAULT 8)")
    sink = PostgresSink(dsn=Secret(database), table="part", key=("id",))
    await write(sink, [{"id": 1, "a": 1}, {"id": 2, "b": 2}, {"id": 3}], [{"id": 1, "b": 5}, {"a": 6, "id": 1}])
    assert connection.execute("SELECT * FROM part ORDER BY id").fetchall() == [(1, 6, 5), (2, 7, 2), (3, 7, 8)]
    await write(sink, [{"id": 1, "a": 0}])
    assert connection.execute("SELECT * FROM part WHERE id = 1").fetchall() == [(1, 0, 5)]


async def test_rows_of_several_shapes_are_replaced_as_a_whole(database: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE part (name text, a integer, b integer DEFAULT 8)")
    sink = PostgresSink(dsn=Secret(database), table="part", replace_by="name")
    await write(sink, [{"name": "x", "a": 1}, {"name": "x", "a": 2, "b": 2}], [{"name": "y", "b": 3}])
    await write(sink, [{"name": "x", "a": 1}], [{"name": "x", "b": 4}, {"name": "x", "a": 5}])
    found = connection.execute("SELECT * FROM part ORDER BY name, a").fetchall()
    assert found == [("x", 5, 8), ("x", None, 4), ("y", None, 3)]


async def test_a_row_of_defaults_only_is_appended_beside_a_serial(
    database: str, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY, said text)")
    await write(PostgresSink(dsn=Secret(database), table="log"), [{"said": "a"}], [{"said": "b"}])
    assert connection.execute("SELECT said FROM log ORDER BY id").fetchall() == [("a",), ("b",)]


async def test_keys_that_only_the_database_takes_for_equal_are_one_row(
    database: str, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE TABLE people (name char(4) PRIMARY KEY, n integer)")
    sink = PostgresSink(dsn=Secret(database), table="people", key=("name",))
    await write(sink, [{"name": "Ann", "n": 1}], [{"name": "Ann ", "n": 2}])
    assert connection.execute("SELECT n FROM people").fetchall() == [(2,)]
