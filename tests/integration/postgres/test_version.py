"""A newer version is never overwritten: not by a later batch, within one, or by one at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from connectors.postgres import PostgresSink
from mainstem import Event, Mapped, Progress, Rejected, Secret, SinkIdentity

pytestmark = pytest.mark.stack

Rows = Sequence[Mapping[str, Any]]
LIVE = SinkIdentity("shop", "journal")
REPLAY = SinkIdentity("shop", "journal.replay.1", is_beside_live=True)
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"


@pytest.fixture
def table(connection: psycopg.Connection) -> str:
    connection.execute("CREATE TABLE t (id int, line int, v int, what text, PRIMARY KEY (id, line))")
    return "t"


def upserting(database: str, version: str | None = "v") -> PostgresSink:
    return PostgresSink(dsn=Secret(database), table="t", key=("id", "line"), version=version)


def replacing(database: str, version: str | None = "v") -> PostgresSink:
    return PostgresSink(dsn=Secret(database), table="t", replace_by="id", version=version)


def event(id: int, v: int, what: str, *, lines: int = 1) -> Rows:
    return [{"id": id, "line": line, "v": v, "what": what} for line in range(lines)]


async def write(sink: PostgresSink, *events: Rows, identity: SinkIdentity = LIVE) -> None:
    async with sink.open(identity) as target, target.transaction() as transaction:
        await transaction.write([Mapped(Event(id=str(n)), rows) for n, rows in enumerate(events)])
        await transaction.commit(Progress([]))


def held(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT id, line, v, what FROM t ORDER BY id, line").fetchall()


async def somebody_waits(connection: psycopg.Connection) -> None:
    async with asyncio.timeout(30):
        while connection.execute(WAITS).fetchone() != (1,):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("made", [upserting, replacing])
@pytest.mark.parametrize("order", list(permutations([1, 2, 3])), ids=str)
@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "three batches"])
async def test_the_newest_version_stays_in_whatever_order_they_come(
    database: str, connection: psycopg.Connection, table: str, made: Any, order: Sequence[int], at_once: bool
) -> None:
    events = [event(1, version, f"v{version}") for version in order]
    if at_once:
        await write(made(database), *events)
    else:
        for one in events:
            await write(made(database), one)

    assert held(connection) == [(1, 0, 3, "v3")]


@pytest.mark.parametrize("made", [upserting, replacing])
async def test_the_same_version_is_written_again_and_what_has_none_is_older(
    database: str, connection: psycopg.Connection, table: str, made: Any
) -> None:
    connection.execute("INSERT INTO t VALUES (1, 0, NULL, 'by hand'), (2, 0, 5, 'before')")

    await write(made(database), event(1, 1, "first"), event(2, 5, "mended"))

    assert held(connection) == [(1, 0, 1, "first"), (2, 0, 5, "mended")]


async def test_a_group_is_replaced_as_a_whole_or_not_at_all(
    database: str, connection: psycopg.Connection, table: str
) -> None:
    await write(replacing(database), event(1, 5, "new", lines=2), event(2, 1, "old", lines=3))

    await write(replacing(database), event(1, 4, "older", lines=4), event(2, 2, "newer", lines=1))

    assert held(connection) == [(1, 0, 5, "new"), (1, 1, 5, "new"), (2, 0, 2, "newer")]


async def test_a_groups_version_is_the_greatest_of_its_rows(
    database: str, connection: psycopg.Connection, table: str
) -> None:
    await write(replacing(database), [*event(1, 2, "a"), {"id": 1, "line": 1, "v": 9, "what": "b"}])

    await write(replacing(database), event(1, 8, "older"))
    assert [row[3] for row in held(connection)] == ["a", "b"]
    await write(replacing(database), event(1, 9, "as new"))
    assert [row[3] for row in held(connection)] == ["as new"]


async def test_rows_of_several_shapes_keep_to_it(database: str, connection: psycopg.Connection, table: str) -> None:
    bare = {"id": 1, "line": 0, "v": 2}
    await write(upserting(database), [{**bare, "v": 3, "what": "new"}], [bare])
    await write(upserting(database), [{**bare, "v": 1, "what": "old"}], [bare])
    await write(replacing(database), event(2, 3, "new"), [{**bare, "id": 2}])

    assert held(connection) == [(1, 0, 3, "new"), (2, 0, 3, "new")]


@pytest.mark.parametrize("made", [upserting, replacing])
@pytest.mark.parametrize("row", [{"v": None}, {}], ids=["null", "missing"])
async def test_a_row_without_its_version_is_refused(
    database: str, table: str, made: Any, row: Mapping[str, Any]
) -> None:
    with pytest.raises(Rejected, match="column v"):
        await write(made(database), [{"id": 1, "line": 0, "what": "x", **row}])


async def test_without_a_version_the_last_one_written_stays(
    database: str, connection: psycopg.Connection, table: str
) -> None:
    for made in (upserting, replacing):
        await write(made(database, None), event(1, 3, "new"), event(1, 1, "old"))
        assert held(connection) == [(1, 0, 1, "old")]


@pytest.mark.parametrize("made", [upserting, replacing])
@pytest.mark.parametrize("is_there", [True, False], ids=["a group that is there", "a new group"])
async def test_a_replay_that_meets_a_live_batch_waits_for_it_and_sets_nothing_back(
    database: str, connection: psycopg.Connection, table: str, made: Any, is_there: bool
) -> None:
    if is_there:
        await write(made(database), event(1, 1, "old"))
    async with made(database).open(LIVE) as live:
        async with live.transaction() as transaction:
            await transaction.write([Mapped(Event(id="new"), event(1, 3, "new"))])
            replay = asyncio.create_task(write(made(database), event(1, 2, "replayed"), identity=REPLAY))
            await somebody_waits(connection)
            await transaction.commit(Progress([]))
        await replay

    assert held(connection) == [(1, 0, 3, "new")]


@pytest.mark.parametrize("made", [upserting, replacing])
async def test_a_live_batch_that_meets_a_replay_waits_and_is_not_refused(
    database: str, connection: psycopg.Connection, table: str, made: Any
) -> None:
    async with made(database, None).open(REPLAY) as beside:
        async with beside.transaction() as transaction:
            await transaction.write([Mapped(Event(id="again"), event(1, 1, "replayed"))])
            live = asyncio.create_task(write(made(database, None), event(1, 1, "live")))
            await somebody_waits(connection)
            await transaction.commit(Progress([]))
        await live

    assert held(connection) == [(1, 0, 1, "live")]


async def test_live_workers_do_not_wait_for_each_other(
    database: str, connection: psycopg.Connection, table: str
) -> None:
    async with upserting(database).open(LIVE) as one, one.transaction() as transaction:
        await transaction.write([Mapped(Event(id="a"), event(1, 1, "a"))])
        await asyncio.wait_for(write(upserting(database), event(2, 1, "b")), 10)
        await transaction.commit(Progress([]))

    assert len(held(connection)) == 2


@pytest.mark.parametrize("settings", [{}, {"key": ("v",)}, {"replace_by": "v"}])
def test_a_version_that_could_guard_nothing_is_refused(settings: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError, match="version"):
        PostgresSink(dsn=Secret(""), table="t", version="v", **settings)
