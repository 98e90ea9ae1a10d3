from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.postgres import PostgresSink
from mainstem import (
    Advance,
    Claim,
    Event,
    Mapped,
    Partition,
    Progress,
    Retryable,
    Secret,
    SinkIdentity,
    Target,
    Unreachable,
)

pytestmark = pytest.mark.stack
NUMBERS = Partition("numbers.v1", 0)
IDENTITY = SinkIdentity("counting", "numbers")
TERMINATE = (  # in this test's database: others run beside it under the same name
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'mainstem.counting.numbers' AND datname = current_database()"
)


@pytest.fixture(autouse=True)
def _table(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE numbers (n bigint PRIMARY KEY)")


def sink(dsn: str, **settings: float) -> PostgresSink:
    return PostgresSink(dsn=Secret(dsn), table="numbers", key=("n",), **settings)


def number(n: int) -> Mapped:
    return Mapped(Event(id=str(n)), [{"n": n}])


async def deliver(target: Target, claim: Claim, n: int) -> None:
    async with target.transaction() as transaction:
        await transaction.write([number(n)])
        await transaction.commit(Progress([Advance(claim, claim.next_offset, n + 1)]))


def stored(connection: psycopg.Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]


class Fault:
    """What a proxy does when the client sends something with `at` in it: passes it on, and answers no more."""

    def __init__(self, at: bytes, *, cut: bool, armed: bool = True) -> None:
        self.at = at
        self.cut = cut
        """True: the connection to the client is closed as well."""
        self.armed = armed

    def strikes(self, sent: bytes) -> bool:
        return self.armed and self.at in sent


@asynccontextmanager
async def proxy(dsn: str, fault: Fault) -> AsyncIterator[str]:
    parts = conninfo_to_dict(dsn)
    silent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(str(parts["host"]), str(parts["port"]))

        async def up() -> None:
            while data := await reader.read(65536):
                server_writer.write(data)
                if fault.strikes(data):
                    silent.set()
                    if fault.cut:
                        writer.close()
            server_writer.close()

        async def down() -> None:
            while data := await server_reader.read(65536):
                if not silent.is_set():
                    writer.write(data)
            writer.close()

        await asyncio.gather(up(), down(), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield make_conninfo(dsn, host="127.0.0.1", port=server.sockets[0].getsockname()[1], sslmode="disable")
    finally:
        server.close()


async def test_a_broken_connection_is_told_and_the_next_call_makes_a_new_one(
    database: str, connection: psycopg.Connection
) -> None:
    async with sink(database).open(IDENTITY) as target:
        [claim] = await target.take_over([NUMBERS])
        connection.execute(TERMINATE)
        with pytest.raises(Unreachable):
            await deliver(target, claim, 0)
        [claim] = await target.take_over([NUMBERS])
        await deliver(target, claim, 0)
    assert stored(connection) == [0]


async def test_a_transaction_that_lost_its_connection_cannot_be_committed_on_another(
    database: str, connection: psycopg.Connection
) -> None:
    async with sink(database).open(IDENTITY) as target:
        [claim] = await target.take_over([NUMBERS])
        async with target.transaction() as transaction:
            await transaction.write([number(0)])
            connection.execute(TERMINATE)
            for _ in range(2):
                with pytest.raises(Unreachable):
                    await transaction.write([number(1)])
            with pytest.raises(Unreachable):
                await transaction.commit(Progress([Advance(claim, None, 2)]))
        [again] = await target.take_over([NUMBERS])
        assert again.next_offset is None
    assert stored(connection) == []


async def test_after_a_lost_answer_to_commit_the_table_tells_that_it_was_done(
    database: str, connection: psycopg.Connection
) -> None:
    fault = Fault(b"COMMIT\0", cut=True, armed=False)
    async with proxy(database, fault) as dsn, sink(dsn).open(IDENTITY) as target:
        [claim] = await target.take_over([NUMBERS])
        fault.armed = True
        with pytest.raises(Unreachable):
            await deliver(target, claim, 0)
    async with sink(database).open(IDENTITY) as target:
        [claim] = await target.take_over([NUMBERS])
    assert (claim.next_offset, stored(connection)) == (1, [0])


async def test_a_database_that_answers_no_more_is_unreachable_in_time(
    database: str, connection: psycopg.Connection
) -> None:
    silence = Fault(b"SAVEPOINT mainstem", cut=False)
    limits = {"statement_timeout_s": 0.5, "idle_timeout_s": 60.0}  # nor does the database end it
    async with proxy(database, silence) as dsn, sink(dsn, **limits).open(IDENTITY) as target:
        [claim] = await target.take_over([NUMBERS])
        async with asyncio.timeout(15):
            with pytest.raises(Unreachable):
                await deliver(target, claim, 0)
    assert stored(connection) == []


async def test_a_row_that_another_holds_is_tried_again_later(database: str, connection: psycopg.Connection) -> None:
    async with sink(database, lock_timeout_s=0.1).open(IDENTITY) as target:
        [claim] = await target.take_over([NUMBERS])
        with connection.transaction():
            connection.execute("INSERT INTO numbers VALUES (0)")
            with pytest.raises(Retryable, match="55P03"):
                await deliver(target, claim, 0)
        await deliver(target, claim, 0)
    assert stored(connection) == [0]


async def test_a_predecessor_stopped_with_an_open_transaction_is_ended_by_the_database(
    database: str, connection: psycopg.Connection
) -> None:
    async with sink(database, idle_timeout_s=0.2).open(IDENTITY) as stopped, sink(database).open(IDENTITY) as target:
        await stopped.take_over([NUMBERS])
        async with stopped.transaction() as transaction:
            await transaction.write([number(0)])
            [claim] = await target.take_over([NUMBERS])
            await deliver(target, claim, 0)
            with pytest.raises(Unreachable):
                await transaction.commit(Progress([]))
    assert stored(connection) == [0]


@pytest.fixture
def copying(database: str, _table: None) -> Iterator[psycopg.Copy]:
    """A worker of the same sink that holds a row and then sends no more of its COPY."""
    connection = psycopg.connect(database, application_name="mainstem.counting.numbers")
    connection.execute("CREATE TEMP TABLE stage (n bigint)")
    connection.execute("INSERT INTO numbers VALUES (0)")
    copy = connection.cursor().copy("COPY stage FROM STDIN")
    yield copy.__enter__()
    connection.close()


async def test_a_predecessor_stopped_in_the_middle_of_a_copy_is_ended_by_its_successor(
    database: str, connection: psycopg.Connection, copying: psycopg.Copy
) -> None:
    async with sink(database, lock_timeout_s=0.3, idle_timeout_s=0.1).open(IDENTITY) as target:
        [claim] = await target.take_over([NUMBERS])
        with pytest.raises(Retryable, match="55P03"):
            await deliver(target, claim, 0)
        await deliver(target, claim, 0)
    assert stored(connection) == [0]
    with pytest.raises(psycopg.OperationalError):
        copying.__exit__(None, None, None)


async def test_a_cancelled_write_is_rolled_back_before_anything_else_happens(
    database: str, connection: psycopg.Connection
) -> None:
    async with sink(database).open(IDENTITY) as target:
        [claim] = await target.take_over([NUMBERS])

        async def write() -> None:
            async with target.transaction() as transaction:
                await transaction.write([number(n) for n in range(50_000)])
                await transaction.commit(Progress([Advance(claim, None, 50_000)]))

        writing = asyncio.create_task(write())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await deliver(target, claim, 7)
    assert stored(connection) == [7]
