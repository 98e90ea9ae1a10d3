from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from connectors.postgres import PostgresSink
from mainstem import Event, MainstemError, Mapped, Misconfigured, Rejected, Secret, SinkIdentity, Unreachable
from mainstem.errors import CREDENTIALS_REFUSED, TARGET_NOT_READY, TARGET_REFUSES, TARGET_UNREACHABLE

pytestmark = pytest.mark.stack
IDENTITY = SinkIdentity("books", "all")
CANARY = "canary-4711"
GOOD: Mapping[str, Any] = {"id": 1}

TABLE = """
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TABLE everything (
    id integer PRIMARY KEY, small smallint, wide bigint, name varchar(8), code char(4), price numeric(6, 2), ratio real,
    flag boolean, day date, moment timestamptz, hour time, length interval, raw bytea, doc jsonb, tags text[],
    counts integer[], state mood, rank positive, cost money, note text NOT NULL DEFAULT 'none',
    CONSTRAINT price_is_fair CHECK (price < 100)
);
"""


@pytest.fixture(autouse=True)
def _table(connection: psycopg.Connection) -> None:
    connection.execute(TABLE)


def sink(dsn: str, table: str = "everything") -> PostgresSink:
    return PostgresSink(dsn=Secret(dsn), table=table, key=("id",))


async def write(dsn: str, *rows: Mapping[str, Any], table: str = "everything") -> None:
    async with sink(dsn, table).open(IDENTITY) as target, target.transaction() as transaction:
        await transaction.write([Mapped(Event(id=str(n)), [row]) for n, row in enumerate(rows)])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("small", 40_000),
        ("id", 2**40),
        ("wide", 2**70),
        ("wide", CANARY),
        ("name", CANARY),
        ("name", "nul\x00"),
        ("name", "\ud800"),
        ("name", 4711),
        ("price", Decimal(4_711_000)),
        ("price", CANARY),
        ("flag", CANARY),
        ("flag", 1),
        ("day", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("moment", dt.datetime(2026, 1, 1)),  # noqa: DTZ001 - a time without a zone is what is refused
        ("hour", 1),
        ("length", 1.5),
        ("raw", CANARY),
        ("tags", CANARY),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_column(
    database: str, column: str, value: object
) -> None:
    with pytest.raises(Rejected) as refusal:
        await write(database, GOOD, {"id": 2} | {column: value})
    assert refusal.value.code is TARGET_REFUSES
    assert f"column {column}" in refusal.value.cause
    assert CANARY not in f"{refusal.value}{refusal.value.__cause__}{refusal.value.__context__}"


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"id": 2, "price": Decimal(100)}, "23514 CheckViolation, constraint price_is_fair, table everything"),
        ({"id": 2, "note": None}, "23502 NotNullViolation, table everything, column note"),
        ({"id": None}, "column id"),
        ({"name": "no id"}, "column id"),
        ({"id": 2, "state": CANARY}, "22P02"),
        ({"id": 2, "rank": -4711}, "constraint positive_check"),
        ({"id": 2, "counts": [2**40]}, "22003"),
        ({"id": 2, "ratio": 1e300}, "22003"),
    ],
)
async def test_a_refusal_names_the_rule_and_never_the_value(database: str, row: Mapping[str, Any], named: str) -> None:
    with pytest.raises(Rejected) as refusal:
        await write(database, GOOD, row)
    assert named in refusal.value.cause
    assert not {CANARY, "4711"} & set(refusal.value.cause.split())


@pytest.mark.parametrize(
    "raises", ["RAISE EXCEPTION 'no %', NEW.name", "RAISE 'no %', NEW.name USING ERRCODE = 'XY001'"]
)
async def test_what_a_trigger_says_is_not_repeated(database: str, connection: psycopg.Connection, raises: str) -> None:
    connection.execute(f"CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {raises}; END$$")
    connection.execute("CREATE TRIGGER judge BEFORE INSERT ON everything FOR EACH ROW EXECUTE FUNCTION judge()")
    with pytest.raises(Rejected, match=r"raised by judge\(\)") as refusal:
        await write(database, {"id": 1, "name": "secret"})
    assert "secret" not in str(refusal.value)


async def failure_of(sink: PostgresSink) -> MainstemError:
    with pytest.raises(MainstemError) as failed:
        await sink.check()
    return failed.value


async def test_a_missing_table_is_named_and_found_once_it_is_there(
    database: str, connection: psycopg.Connection
) -> None:
    async with sink(database, "later").open(IDENTITY) as target:
        with pytest.raises(Misconfigured, match="table later does not exist") as missing:
            await target.take_over([])
        assert missing.value.code is TARGET_NOT_READY
        connection.execute("CREATE TABLE later (id integer PRIMARY KEY)")
        assert list(await target.take_over([])) == []


async def test_an_unknown_column_is_named_and_found_once_it_is_there(
    database: str, connection: psycopg.Connection
) -> None:
    async with sink(database).open(IDENTITY) as target:
        for known in (False, True):
            async with target.transaction() as transaction:
                if known:
                    connection.execute("ALTER TABLE everything ADD COLUMN colour text")
                    await transaction.write([Mapped(Event(id="1"), [{"id": 1, "colour": "red"}])])
                    return
                with pytest.raises(Misconfigured, match="has no column colour"):
                    await transaction.write([Mapped(Event(id="1"), [{"id": 1, "colour": "red"}])])


async def test_a_key_that_nothing_holds_unique_is_misconfigured(database: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE loose (id integer)")
    with pytest.raises(Misconfigured, match="42P10"):
        await write(database, GOOD, table="loose")


async def test_a_key_column_that_is_missing_shows_in_the_check(database: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE keyless (name text)")
    assert "has no column id" in (await failure_of(sink(database, "keyless"))).cause


async def test_without_the_right_to_create_the_fix_is_the_sql(database: str, connection: psycopg.Connection) -> None:
    role = f"clerk_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'")
    try:
        connection.execute(f"GRANT ALL ON everything TO {role}")
        failed = await failure_of(sink(make_conninfo(database, user=role, password="clerk")))
        assert isinstance(failed, Misconfigured)
        made = failed.fix.split(": ", 1)[1]
        connection.execute(made)
        connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        await write(make_conninfo(database, user=role, password="clerk"), GOOD)
    finally:
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


async def test_an_unknown_role_is_a_matter_of_credentials(database: str) -> None:
    failed = await failure_of(sink(make_conninfo(database, user="nobody_known", password=CANARY)))
    assert failed.code is CREDENTIALS_REFUSED
    assert CANARY not in str(failed)


async def test_a_missing_database_is_not_ready(database: str) -> None:
    assert (await failure_of(sink(make_conninfo(database, dbname="nowhere")))).code is TARGET_NOT_READY


async def test_nobody_listening_is_unreachable(free_port: int) -> None:
    failed = await failure_of(sink(f"postgresql://u:{CANARY}@127.0.0.1:{free_port}/d"))
    assert isinstance(failed, Unreachable)
    assert failed.code is TARGET_UNREACHABLE
    assert CANARY not in str(failed)
