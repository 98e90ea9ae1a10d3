"""One connection and the one thread that uses it.

A whole batch crosses the thread once; the event loop never does work per row. A connection that broke is made again by
the next call.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import LockNotAvailable

from connectors.postgres.refusals import failure
from connectors.postgres.table import Connection
from mainstem import MainstemError, Misconfigured, Secret

T = TypeVar("T")

_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""A database whose host is gone shows within a minute, in ms the last. The DSN may set its own."""

_MARGIN_S = 5
"""The database gets this much longer to end a statement by itself before we hang up."""

_CONFIGURE = """
SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false)
"""

_END_STOPPED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = current_setting('application_name') AND usename = current_user AND datname = current_database()
    AND pid <> pg_backend_pid() AND state = 'active' AND wait_event = 'ClientRead'
    AND query_start < clock_timestamp() - %s * interval '1 second'
"""
"""A process that was stopped in the middle of a COPY: no timeout of PostgreSQL ends a session that reads its client."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, in seconds: see the sink's settings."""

    connect_s: float
    statement_s: float
    lock_s: float
    idle_s: float


class Session:
    """Runs work on its connection, one call after the other; every error that leaves it is one of mainstem's.

    `prepare` runs first on each new connection.
    """

    def __init__(self, dsn: Secret, name: str, limits: Limits) -> None:
        self._dsn = dsn
        self._name = name
        self._limits = limits
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._connection: Connection | None = None
        self.prepare: Callable[[Connection], None] = lambda _: None

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in the thread. Cancelling the caller does not stop it: what follows waits until it is done."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait({future}, timeout=self._limits.statement_s + _MARGIN_S)
        if not done:
            self._hang_up()
        return await future

    async def roll_back(self) -> None:
        """Ends an open transaction, if the connection still lives. Never raises for the database's sake."""
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._roll_back))

    async def close(self) -> None:
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._drop))
        self._thread.shutdown(wait=False)

    def _run(self, work: Callable[[Connection], T]) -> T:
        """In the thread."""
        try:
            return work(self._live())
        except psycopg.Error as error:
            self._after(error)
            failed: MainstemError = failure(error)
        except MainstemError as error:
            failed = error
        if isinstance(failed, Misconfigured):
            self._drop()  # what a person mends (a table, a grant) is read again by the next connection
        raise failed  # outside the handler: psycopg's error may hold values, and a chained traceback prints it

    def _live(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(**self._parameters(), autocommit=True)
            try:
                self._configure(self._connection)
                self.prepare(self._connection)
            except BaseException:
                self._drop()
                raise
        return self._connection

    def _configure(self, connection: Connection) -> None:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        timeouts = (self._limits.statement_s, self._limits.lock_s, self._limits.idle_s)
        connection.execute(_CONFIGURE, [f"{round(seconds * 1000)}ms" for seconds in timeouts])

    def _parameters(self) -> dict[str, Any]:
        own = {"application_name": self._name, "connect_timeout": max(1, round(self._limits.connect_s))}
        with suppress(psycopg.Error):  # its message quotes the string, and with it the password
            return _KEEPALIVE | conninfo_to_dict(self._dsn.reveal()) | own
        raise Misconfigured(
            "the dsn is not a connection string of PostgreSQL",
            fix="write it as postgresql://user:password@host/database",
        )

    def _after(self, error: psycopg.Error) -> None:
        """Leaves the connection usable, or none."""
        connection = self._connection
        if connection is None:
            return
        with suppress(psycopg.Error):
            if connection.info.transaction_status == pq.TransactionStatus.INERROR:
                connection.execute("ROLLBACK")
            if isinstance(error, LockNotAvailable):
                connection.execute(_END_STOPPED, [self._limits.idle_s])
        if connection.closed or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
            self._drop()

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or connection.closed:
            return
        if connection.info.transaction_status == pq.TransactionStatus.IDLE:
            return
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _hang_up(self) -> None:
        """From the loop's thread: a database that answers no more looks to the other thread like one that left."""
        connection = self._connection
        if connection is None:
            return
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)
