"""The target for one worker: what the runtime calls, in front of the session's thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
from psycopg import pq
from psycopg.errors import CardinalityViolation

from connectors.postgres.control import Control
from connectors.postgres.refusals import failure
from connectors.postgres.session import Session
from connectors.postgres.stage import Stage
from connectors.postgres.table import Connection
from mainstem import (
    Claim,
    Letter,
    Mapped,
    Misconfigured,
    ParkedKey,
    Partition,
    Progress,
    SinkIdentity,
    Transaction,
    Undecoded,
    Unreachable,
)
from mainstem.errors import TARGET_NOT_READY, TARGET_UNREACHABLE, MainstemError

T = TypeVar("T")

_SPEAK = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; RELEASE SAVEPOINT mainstem"
"""Deferred checks are made now, while it is known which batch they are about; the next batch may defer again."""


class PostgresTarget:
    """One thing at a time: what is called while a transaction is open waits for its end."""

    def __init__(self, session: Session, identity: SinkIdentity, stage: Stage) -> None:
        self._session = session
        self._stage = stage
        self._control = Control(identity)
        self._turn = asyncio.Lock()
        self._owner: asyncio.Task[object] | None = None
        session.prepare = self._prepare

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        return await self._alone(lambda connection: self._control.take_over(connection, partitions))

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        return await self._alone(lambda connection: self._control.parked(connection, topics))

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        return await self._alone(lambda connection: self._control.letters(connection, partition, after))

    async def forget_letters(self, partition: Partition, through: int) -> None:
        await self._alone(lambda connection: self._control.forget_letters(connection, partition, through))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self._refuse_nesting()
        async with self._turn:
            self._owner = asyncio.current_task()
            transaction = PostgresTransaction(self._session, self._control, self._stage)
            try:
                yield transaction
            finally:
                self._owner = None
                await transaction.leave()

    async def close(self) -> None:
        await self._session.close()

    async def _alone(self, work: Callable[[Connection], T]) -> T:
        self._refuse_nesting()
        async with self._turn:
            return await self._session.call(lambda connection: _in_transaction(connection, work))

    def _refuse_nesting(self) -> None:
        if self._owner is not None and self._owner is asyncio.current_task():
            raise RuntimeError("leave the transaction first: inside it this call would wait for itself")

    def _prepare(self, connection: Connection) -> None:
        self._control.create(connection)
        self._stage.prepare(connection)


class PostgresTransaction:
    """Begins with its first call, and belongs to the connection that it began on: a new one knows nothing of it."""

    def __init__(self, session: Session, control: Control, stage: Stage) -> None:
        self._session = session
        self._control = control
        self._stage = stage
        self._connection: Connection | None = None
        self._over = False

    async def waiting(self, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        return await self._call(lambda connection: self._control.waiting(connection, keys))

    async def write(self, records: Sequence[Mapped]) -> None:
        await self._call(lambda connection: self._write(connection, records))

    async def write_undecoded(self, batch: Undecoded) -> bool:
        return await self._call(lambda connection: self._write_undecoded(connection, batch))

    async def commit(self, progress: Progress) -> None:
        await self._call(lambda connection: self._commit(connection, progress))
        self._over = True

    async def leave(self) -> None:
        """Rolls back what was not committed."""
        if not self._over:
            self._over = True
            await self._session.roll_back()

    async def _call(self, work: Callable[[Connection], T]) -> T:
        if self._over:
            raise RuntimeError("the transaction is over")
        return await self._session.call(lambda connection: work(self._begun(connection)))

    def _begun(self, connection: Connection) -> Connection:
        if self._connection is None:
            if connection.info.transaction_status != pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            self._stage.begin()
            self._connection = connection
        if self._connection is not connection or connection.info.transaction_status != pq.TransactionStatus.INTRANS:
            raise Unreachable("the transaction was lost with its connection", code=TARGET_UNREACHABLE)
        return connection

    def _write(self, connection: Connection, records: Sequence[Mapped]) -> None:
        self._attempt(connection, lambda: self._stage.write(connection, records))

    def _write_undecoded(self, connection: Connection, batch: Undecoded) -> bool:
        return self._attempt(connection, lambda: self._stage.write_undecoded(connection, batch))

    def _attempt(self, connection: Connection, write: Callable[[], T]) -> T:
        try:
            return self._within_savepoint(connection, write)
        except CardinalityViolation:
            self._stage.distrust()
            return self._within_savepoint(connection, write)

    def _within_savepoint(self, connection: Connection, write: Callable[[], T]) -> T:
        connection.execute("SAVEPOINT mainstem")
        try:
            written = write()
            connection.execute(_SPEAK)
            return written
        except (psycopg.Error, MainstemError):
            if not connection.closed:
                connection.execute("ROLLBACK TO SAVEPOINT mainstem; RELEASE SAVEPOINT mainstem")
            raise

    def _commit(self, connection: Connection, progress: Progress) -> None:
        """No record is to blame for what is refused here: the rows were judged in `write`."""
        try:
            self._control.settle(connection, progress)
            self._control.advance(connection, progress.advances)
            connection.execute("COMMIT")
            self._stage.committed()
            return
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            refused = failure(error)
        connection.execute("ROLLBACK")
        raise Misconfigured(
            f"the control tables of mainstem refuse the progress: {refused.cause}", code=TARGET_NOT_READY
        )


def _in_transaction(connection: Connection, work: Callable[[Connection], T]) -> T:
    with connection.transaction():
        return work(connection)
