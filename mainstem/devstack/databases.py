"""Databases of a PostgreSQL server: made where missing, or made anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from mainstem.errors import TARGET_UNREACHABLE, Unreachable


def ensure_database(dsn: str, name: str) -> str:
    """The connection string of the database `name` on the server of `dsn`, created where it is missing.

    Raises `Unreachable` when the server does not answer.
    """
    with _server(dsn) as server:
        found = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found is None:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_conninfo(dsn, dbname=name)


def recreate_database(dsn: str, name: str) -> str:
    """The connection string of the database `name`, which is empty: what it held is dropped, its users are sent away.

    Replication slots on it must be dropped before. Raises `Unreachable` when the server does not answer.
    """
    with _server(dsn) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_conninfo(dsn, dbname=name)


@contextmanager
def _server(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as server:
            yield server
    except psycopg.OperationalError as error:
        raise Unreachable(f"PostgreSQL: {error}".strip().splitlines()[0], code=TARGET_UNREACHABLE) from error
