"""A batch as a whole into real tables: what arrives is what arrives by items, or nothing does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from connectors.postgres import PostgresSink
from mainstem import Progress, Rejected, Secret, SinkIdentity
from mainstem.sdk.undecoded import UndecodedTransaction
from tests.integration.postgres.things import PAIR, Things

pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)
pytestmark = pytest.mark.stack
TYPES: Mapping[str, tuple[Any, str]] = {
    "id": ("int", "integer"),
    "small": ("int", "smallint"),
    "big": ("long", "bigint"),
    "real_": ("float", "real"),
    "double_": ("double", "double precision"),
    "text_": ("string", "text"),
    "short": ("string", "varchar(9)"),
    "flag": ("boolean", "boolean"),
    "raw": ("bytes", "bytea"),
    "price": ({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}, "numeric(12, 2)"),
    "wide": ({"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 30}, "numeric"),
    "count": ("long", "numeric"),
    "day": ({"type": "int", "logicalType": "date"}, "date"),
    "hour": ({"type": "long", "logicalType": "time-micros"}, "time"),
    "at": ({"type": "long", "logicalType": "timestamp-micros"}, "timestamptz"),
    "local": ({"type": "long", "logicalType": "local-timestamp-millis"}, "timestamp"),
    "uuid_": ({"type": "string", "logicalType": "uuid"}, "uuid"),
    "mood": ({"type": "enum", "name": "mood", "symbols": ["CALM", "CROSS"]}, "mood"),
    "maybe": (["null", "string"], "mood_text"),
    "bits": ("string", "bit(3)"),
}
ROW: Mapping[str, Any] = {
    "id": 1,
    "small": -(2**15),
    "big": -(2**63),
    "real_": 1.5,
    "double_": -1e300,
    "text_": "żółć \\ \t\n",
    "short": "abcd",
    "flag": True,
    "raw": b"\x00\xff",
    "price": Decimal("-9999999999.99"),
    "wide": Decimal("-123456789012345678901234567890.000000000000000000000000000001"),
    "count": 2**62,
    "day": date(1, 1, 1),
    "hour": time(23, 59, 59, 999999),
    "at": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
    "local": datetime(1969, 1, 1, 0, 0, 0, 1000),  # noqa: DTZ001 - the column has no zone either
    "uuid_": UUID(int=2**127 + 5),
    "mood": "CROSS",
    "maybe": None,
    "bits": "101",
}
OTHER: Mapping[str, Any] = {
    **ROW,
    "id": 2,
    "price": Decimal("0.00"),
    "wide": Decimal(10) ** -30,
    "count": 0,
    "day": date(9999, 12, 31),
    "local": datetime(2000, 1, 1),  # noqa: DTZ001
    "maybe": "x",
}


async def write_whole(sink: PostgresSink, things: Things, *batches: Sequence[Mapping[str, Any]]) -> list[bool]:
    taken = []
    async with sink.open(SinkIdentity("things", "whole")) as target:
        for rows in batches:
            async with target.transaction() as transaction:
                assert isinstance(transaction, UndecodedTransaction)
                taken.append(await transaction.write_undecoded(things.batch(rows)))
                await transaction.commit(Progress([]))
    return taken


async def write_items(sink: PostgresSink, things: Things, rows: Sequence[Mapping[str, Any]]) -> None:
    async with sink.open(SinkIdentity("things", "items")) as target, target.transaction() as transaction:
        await transaction.write(things.items(rows))
        await transaction.commit(Progress([]))


@pytest.fixture
def tables(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Two tables alike, `whole` and `items`, with a column of each type."""
    connection.execute("CREATE TYPE mood AS ENUM ('CALM', 'CROSS')")
    connection.execute("CREATE DOMAIN mood_text AS varchar(8) CHECK (VALUE <> '')")
    columns = ", ".join(f"{name} {column}" for name, (_, column) in TYPES.items())
    for name in ("whole", "items"):
        connection.execute(f"CREATE TABLE {name} ({columns}, PRIMARY KEY (id), extra int DEFAULT 7)")
    yield connection


@pytest.mark.parametrize("settings", [{}, {"key": ("id",)}, {"replace_by": "id"}, {"key": ("id",), "version": "big"}])
async def test_every_type_arrives_as_it_does_by_items(
    database: str, tables: psycopg.Connection, settings: dict[str, Any]
) -> None:
    things = Things({name: avro for name, (avro, _) in TYPES.items()})
    rows = [ROW, OTHER]
    whole, items = (PostgresSink(dsn=Secret(database), table=name, **settings) for name in ("whole", "items"))
    assert await write_whole(whole, things, rows) == [True]
    await write_items(items, things, rows)
    found = tables.execute("SELECT whole::text FROM whole ORDER BY id").fetchall()
    assert found == tables.execute("SELECT items::text FROM items ORDER BY id").fetchall()
    assert len(found) == 2


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [("a", 1), ("a", 2), ("b", 3), ("a", 9)]),
        ({"key": ("id",)}, [("a", 9), ("b", 3)]),
        ({"replace_by": "id"}, [("b", 3), ("a", 9)]),
        ({"key": ("id",), "version": "n"}, [("a", 9), ("b", 3)]),
    ],
)
async def test_the_last_of_a_key_wins_within_a_batch_and_over_batches(
    database: str, connection: psycopg.Connection, settings: dict[str, Any], expected: list[Any]
) -> None:
    unique = "PRIMARY KEY" if settings.get("key") else ""
    connection.execute(f"CREATE TABLE pair (id text {unique}, n integer, at serial)")
    sink, things = PostgresSink(dsn=Secret(database), table="pair", **settings), Things(PAIR)
    batches = [[{"id": "a", "n": 1}, {"id": "a", "n": 2}, {"id": "b", "n": 3}], [{"id": "a", "n": 9}]]
    assert await write_whole(sink, things, *batches) == [True, True]
    assert sorted(connection.execute("SELECT id, n FROM pair ORDER BY at").fetchall()) == sorted(expected)


async def test_an_older_version_sets_nothing_back(database: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE pair (id text PRIMARY KEY, n integer)")
    sink = PostgresSink(dsn=Secret(database), table="pair", key=("id",), version="n")
    assert await write_whole(sink, Things(PAIR), [{"id": "a", "n": 5}], [{"id": "a", "n": 4}]) == [True, True]
    assert connection.execute("SELECT id, n FROM pair").fetchall() == [("a", 5)]


async def test_keys_that_only_the_database_takes_for_equal_are_one_row(
    database: str, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE TABLE pair (id char(4) PRIMARY KEY, n integer)")
    sink = PostgresSink(dsn=Secret(database), table="pair", key=("id",))
    assert await write_whole(sink, Things(PAIR), [{"id": "Ann", "n": 1}, {"id": "Ann ", "n": 2}]) == [True]
    assert connection.execute("SELECT n FROM pair").fetchall() == [(2,)]


@pytest.mark.parametrize(
    "row", [{"id": "b", "n": -1}, {"id": "b", "n": 2**31 - 1}, {"id": "b\x00", "n": 1}, {"id": "toolong", "n": 1}]
)
async def test_a_row_that_is_refused_leaves_nothing_of_its_batch(
    database: str, connection: psycopg.Connection, row: Mapping[str, Any]
) -> None:
    connection.execute("CREATE TABLE pair (id varchar(5) PRIMARY KEY, n smallint CHECK (n > 0))")
    sink, things = PostgresSink(dsn=Secret(database), table="pair", key=("id",)), Things(PAIR)
    async with sink.open(SinkIdentity("things", "whole")) as target, target.transaction() as transaction:
        assert isinstance(transaction, UndecodedTransaction)
        with pytest.raises(Rejected):
            await transaction.write_undecoded(things.batch([{"id": "a", "n": 1}, row]))
        assert await transaction.write_undecoded(things.batch([{"id": "c", "n": 2}]))
        await transaction.commit(Progress([]))
    assert connection.execute("SELECT id FROM pair").fetchall() == [("c",)]


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        ("id text, m integer", {}),
        ("id uuid, n integer", {}),
        ("id text, n text", {}),
        ("id text, n integer, at text PRIMARY KEY", {"key": ("at",)}),
        ("id jsonb, n integer", {}),
        ("id text, n integer[]", {}),
    ],
)
async def test_a_table_that_takes_the_fields_otherwise_gets_nothing(
    database: str, connection: psycopg.Connection, columns: str, settings: dict[str, Any]
) -> None:
    connection.execute(f"CREATE TABLE pair ({columns})")
    sink = PostgresSink(dsn=Secret(database), table="pair", **settings)
    assert await write_whole(sink, Things(PAIR), [{"id": "a", "n": 1}]) == [False]
    assert connection.execute("SELECT count(*) FROM pair").fetchall() == [(0,)]


async def test_a_session_in_another_encoding_gets_nothing(database: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE pair (id text, n integer)")
    sink = PostgresSink(dsn=Secret(f"{database} client_encoding=latin1"), table="pair")
    assert await write_whole(sink, Things(PAIR), [{"id": "ü", "n": 1}]) == [False]


async def test_two_writers_at_once_exclude_no_one(database: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE pair (id text PRIMARY KEY, n integer)")
    sink, things = PostgresSink(dsn=Secret(database), table="pair", key=("id",)), Things(PAIR)
    batches = [[{"id": f"{place}-{n}", "n": n} for n in range(200)] for place in "xy"]
    taken = await asyncio.gather(*(write_whole(sink, things, batch) for batch in batches))
    assert taken == [[True], [True]]
    assert connection.execute("SELECT count(*) FROM pair").fetchall() == [(400,)]
