"""The sink's settings, and how it opens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import ClassVar, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, model_validator

from connectors.postgres.control import Control
from connectors.postgres.lane import Lane
from connectors.postgres.session import Limits, Session
from connectors.postgres.stage import Stage
from connectors.postgres.table import Table
from connectors.postgres.target import PostgresTarget
from mainstem import Secret, SinkIdentity, Target, TransactionalSink


class PostgresSink(TransactionalSink):
    """Writes rows into one table, exactly once: the offsets are kept in the same database, in the same transaction.

    A column that a row does not have keeps its default (on insert) or its old value (on update).
    """

    takes_undecoded: ClassVar[bool] = True

    dsn: Secret
    """`postgresql://user:password@host/database`. The role needs SELECT, INSERT, UPDATE and DELETE on the table and on
    mainstem's control tables, and TEMPORARY on the database. Not through a pooler in transaction mode: the staging
    table belongs to the session."""
    table: str
    """The table to write into: `name`, or `schema.name`."""
    key: tuple[str, ...] = ()
    """The columns that identify a row, under a unique constraint: a row that is there already is updated, the last one
    of a batch wins. Empty (and no `replace_by`): rows are appended."""
    replace_by: str | None = None
    """All rows with the same value of this column are replaced as a whole: an event that yields fewer rows than before
    leaves no old ones behind. The column should lead an index. It takes the place of the update by `key`."""
    version: str | None = None
    """A column that grows with each change of a row (with `replace_by`: of a group, the greatest counts). What the
    table holds in a newer version is left as it is: a replay of older events sets nothing back. Needs `key` or
    `replace_by`. Every row of an event must have it; one that is in the table without it counts as older."""
    connect_timeout_s: float = Field(default=10, gt=0)
    """Seconds to wait for a connection: long enough for a cold TLS handshake, short enough for an outage to show."""
    statement_timeout_s: float = Field(default=60, gt=0)
    """Seconds that one batch may take; a batch is tens of milliseconds, so a minute means that something is wrong."""
    lock_timeout_s: float = Field(default=15, gt=0)
    """Seconds to wait for a row that another session holds. Longer than `idle_timeout_s`: a successor waits once until
    the stopped owner's session is ended, instead of giving up just before."""
    idle_timeout_s: float = Field(default=10, gt=0)
    """Seconds after which the database ends a session of ours that holds a transaction open and does nothing: its
    process was stopped. Between two statements of a batch there are milliseconds of work."""

    def open(self, identity: SinkIdentity) -> AbstractAsyncContextManager[Target]:
        """A target for one worker. It connects with its first call, and again whenever the connection broke."""
        return self._open(identity)

    @asynccontextmanager
    async def _open(self, identity: SinkIdentity) -> AsyncIterator[Target]:
        lanes = (self._lane(identity), self._lane(identity))
        target = PostgresTarget(lanes, idle_s=self.idle_timeout_s)
        try:
            yield target
        finally:
            await target.close()

    def target_name(self) -> str | None:
        """The server and the database: what is down for one table is down for all."""
        with suppress(psycopg.Error):  # a wrong dsn is named by whoever connects
            parts = conninfo_to_dict(self.dsn.reveal())
            return "postgresql {host}:{port}/{dbname}".format_map({"host": "", "port": 5432, "dbname": "", **parts})
        return None

    async def check(self) -> None:
        """Connects, reads the table's definition and makes the control tables where they are missing."""
        async with self._open(SinkIdentity("mainstem", "check")) as target:
            await target.parked(())

    @model_validator(mode="after")
    def _check_version(self) -> Self:
        if self.version and not (self.key or self.replace_by):
            raise ValueError("version needs key or replace_by: a row that is appended replaces no other")
        if self.version in {*self.key, self.replace_by} - {None}:
            raise ValueError("version must not be one of the columns that identify a row")
        return self

    def _table(self) -> Table:
        return Table(self.table, self.key, self.replace_by, self.version)

    def _lane(self, identity: SinkIdentity) -> Lane:
        stage = Stage(self._table(), excludes_others=identity.is_beside_live)
        return Lane(self._session(f"mainstem.{identity.name}"), stage, Control(identity))

    def _session(self, name: str) -> Session:
        limits = Limits(self.connect_timeout_s, self.statement_timeout_s, self.lock_timeout_s, self.idle_timeout_s)
        return Session(self.dsn, name, limits)
