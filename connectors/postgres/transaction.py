"""One transaction of the target, on one lane."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import psycopg
from psycopg import pq
from psycopg.errors import CardinalityViolation

from connectors.postgres.lane import Lane
from connectors.postgres.refusals import failure
from connectors.postgres.stage import Copied
from connectors.postgres.table import Connection
from mainstem import Mapped, Misconfigured, ParkedKey, Progress, Undecoded, Unreachable
from mainstem.errors import TARGET_NOT_READY, TARGET_UNREACHABLE, MainstemError

T = TypeVar("T")

_SAVE = b"SAVEPOINT mainstem"
_SPEAK = b"SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; RELEASE SAVEPOINT mainstem"
"""Deferred checks are made now, while it is known which batch they are about; the next batch may defer again."""


class PostgresTransaction:
    """Begins with its first call, and belongs to the connection that it began on: a new one knows nothing of it."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._session = lane.session
        self._control = lane.control
        self._stage = lane.stage
        self._connection: Connection | None = None
        self._over = False
        self._copied: tuple[Undecoded, Copied | None] | None = None
        """The batch that was staged, and what came of it."""

    async def waiting(self, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        return await self._call(lambda connection: self._control.waiting(connection, keys))

    async def write(self, records: Sequence[Mapped]) -> None:
        await self._call(lambda connection: self._write(connection, records))

    async def stage(self, batch: Undecoded) -> None:
        """Brings the batch here, and touches nothing that others see. Raises what `write` raises; it is over then."""
        copied = await self._call(lambda connection: self._stage.copy_undecoded(connection, batch))
        self._copied = (batch, copied)

    async def write_undecoded(self, batch: Undecoded) -> bool:
        if self._copied is None or self._copied[0] is not batch:
            return await self._call(lambda connection: self._write_undecoded(connection, batch))
        copied = self._copied[1]
        if copied is None:
            return False
        await self._call(lambda connection: self._merge(connection, copied))
        return True

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
        self._saved(connection, lambda: self._stage.write(connection, records))

    def _write_undecoded(self, connection: Connection, batch: Undecoded) -> bool:
        return self._saved(connection, lambda: self._stage.write_undecoded(connection, batch))

    def _saved(self, connection: Connection, write: Callable[[], T]) -> T:
        def work() -> T:
            connection.execute(_SAVE)
            written = write()
            connection.execute(_SPEAK, prepare=False)
            return written

        return self._attempt(connection, work)

    def _merge(self, connection: Connection, copied: Copied) -> None:
        def work() -> None:
            # In one message: each way there and back costs as much as dozens of rows.
            merging = self._stage.merging(connection, copied)
            connection.execute(b"; ".join([_SAVE, merging, _SPEAK]), prepare=False)

        self._attempt(connection, work)

    def _attempt(self, connection: Connection, work: Callable[[], T]) -> T:
        """`work` begins with a savepoint, and leaves none behind."""
        try:
            return self._undone_if_refused(connection, work)
        except CardinalityViolation:
            self._stage.distrust()
            return self._undone_if_refused(connection, work)

    def _undone_if_refused(self, connection: Connection, work: Callable[[], T]) -> T:
        try:
            return work()
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
