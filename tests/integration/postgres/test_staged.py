"""A batch that is brought to real tables while the transaction before it is under way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import psycopg
import pytest

from connectors.postgres import PostgresSink
from connectors.postgres.target import PostgresTarget
from mainstem import Partition, Progress, Rejected, Secret, SinkIdentity, Unreachable
from mainstem.sdk.undecoded import StagingTarget, Undecoded
from tests.integration.postgres.things import PAIR, Things

pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)
pytestmark = pytest.mark.stack

IDENTITY = SinkIdentity("things", "whole")
END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"


class Pairs:
    """A table of pairs, and its target."""

    def __init__(self, dsn: str, connection: psycopg.Connection) -> None:
        self._sink = PostgresSink(dsn=Secret(dsn), table="pair", key=("id",))
        self._things = Things(PAIR)
        self._connection = connection

    def batch(self, *rows: tuple[str, int]) -> Undecoded:
        return self._things.batch([{"id": id_, "n": n} for id_, n in rows])

    def opened(self) -> AbstractAsyncContextManager[PostgresTarget]:
        return cast(AbstractAsyncContextManager[PostgresTarget], self._sink.open(IDENTITY))

    def rows(self) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute("SELECT id, n FROM pair ORDER BY id").fetchall()

    def end_sessions(self) -> None:
        self._connection.execute(END_SESSIONS, [f"mainstem.{IDENTITY.name}"])


async def write(target: StagingTarget, batch: Undecoded) -> bool:
    async with target.staged(batch) as transaction:
        taken = await transaction.write_undecoded(batch)
        await transaction.commit(Progress([]))
    return taken


@asynccontextmanager
async def table(dsn: str, connection: psycopg.Connection, columns: str) -> AsyncIterator[tuple[Pairs, PostgresTarget]]:
    connection.execute(f"CREATE TABLE pair ({columns})")
    pairs = Pairs(dsn, connection)
    async with pairs.opened() as target:
        yield pairs, target


PLAIN = "id varchar(5) PRIMARY KEY, n integer CHECK (n > 0)"


async def test_the_next_batch_is_brought_beside_the_one_that_is_written_and_comes_after_it(
    database: str, connection: psycopg.Connection
) -> None:
    async with table(database, connection, PLAIN) as (pairs, target):
        batches = [pairs.batch(("a", n), (f"b{n}", n)) for n in range(1, 6)]
        await target.stage(batches[0])
        for batch, following in zip(batches, [*batches[1:], None], strict=True):
            async with target.staged(batch) as transaction:
                if following is not None:
                    await target.stage(following)
                assert await transaction.write_undecoded(batch)
                await transaction.commit(Progress([]))
    assert pairs.rows() == [("a", 5), *((f"b{n}", n) for n in range(1, 6))]


async def test_what_was_staged_and_not_written_is_nowhere(database: str, connection: psycopg.Connection) -> None:
    async with table(database, connection, PLAIN) as (pairs, target):
        forgotten, written = pairs.batch(("a", 1)), pairs.batch(("b", 2))
        await target.stage(forgotten)
        await target.stage(written)
        assert await write(target, written)
        assert pairs.rows() == [("b", 2)]
        assert await write(target, forgotten), "it may still come"
        await target.stage(pairs.batch(("c", 3)))
    assert pairs.rows() == [("a", 1), ("b", 2)]


async def test_whatever_else_is_asked_of_the_target_meanwhile_is_answered(
    database: str, connection: psycopg.Connection
) -> None:
    async with table(database, connection, PLAIN) as (pairs, target):
        batch = pairs.batch(("a", 1))
        await target.stage(batch)
        (claim,) = await target.take_over([Partition("t", 0)])
        assert await target.parked(["t"]) == set()
        async with target.transaction() as transaction:
            assert await transaction.waiting(()) == {}
        assert await write(target, batch)
    assert (claim.epoch, pairs.rows()) == (1, [("a", 1)])


async def test_a_staged_batch_that_is_refused_leaves_nothing_and_the_transaction_goes_on(
    database: str, connection: psycopg.Connection
) -> None:
    async with table(database, connection, PLAIN) as (pairs, target):
        batch = pairs.batch(("a", 1), ("b", -1))
        await target.stage(batch)
        async with target.staged(batch) as transaction:
            with pytest.raises(Rejected):
                await transaction.write_undecoded(batch)
            assert await transaction.write_undecoded(pairs.batch(("c", 3)))
            await transaction.commit(Progress([]))
    assert pairs.rows() == [("c", 3)]


@pytest.mark.parametrize("refused", ["a\x00", "overlong"])
async def test_a_batch_that_cannot_be_brought_says_so_and_keeps_no_lane(
    database: str, connection: psycopg.Connection, refused: str
) -> None:
    async with table(database, connection, PLAIN) as (pairs, target):
        for _ in range(3):
            with pytest.raises(Rejected):
                await target.stage(pairs.batch((refused, 1)))
        batch = pairs.batch(("b", 2))
        await target.stage(batch)
        assert await write(target, batch)
    assert pairs.rows() == [("b", 2)]


async def test_keys_that_only_the_database_takes_for_equal_are_one_row(
    database: str, connection: psycopg.Connection
) -> None:
    async with table(database, connection, "id char(4) PRIMARY KEY, n integer") as (pairs, target):
        batch = pairs.batch(("Ann", 1), ("Ann ", 2))
        await target.stage(batch)
        assert await write(target, batch)
    assert pairs.rows() == [("Ann ", 2)]


async def test_a_table_that_takes_the_fields_otherwise_gets_nothing(
    database: str, connection: psycopg.Connection
) -> None:
    async with table(database, connection, "id uuid PRIMARY KEY, n integer") as (pairs, target):
        batch = pairs.batch(("a", 1))
        await target.stage(batch)
        assert not await write(target, batch)
    assert pairs.rows() == []


async def test_a_session_that_ended_meanwhile_is_an_outage_and_the_batch_is_written_by_the_next_try(
    database: str, connection: psycopg.Connection
) -> None:
    async with table(database, connection, PLAIN) as (pairs, target):
        batch = pairs.batch(("a", 1))
        await target.stage(batch)
        pairs.end_sessions()
        with pytest.raises(Unreachable):
            await write(target, batch)
        assert await write(target, batch)
    assert pairs.rows() == [("a", 1)]


async def test_what_was_staged_too_long_ago_is_brought_anew_before_the_database_ends_its_session(
    database: str, connection: psycopg.Connection
) -> None:
    async with table(database, connection, PLAIN) as (pairs, target):
        batch = pairs.batch(("a", 1))
        await target.stage(batch)
        target._idle_s = 0
        pairs.end_sessions()
        assert await write(target, batch), "in a session of its own"
    assert pairs.rows() == [("a", 1)]


def test_the_target_is_one_to_which_batches_can_be_brought() -> None:
    assert isinstance(PostgresTarget(cast(Any, (None, None)), idle_s=1), StagingTarget)
