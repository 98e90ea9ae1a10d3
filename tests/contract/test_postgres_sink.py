from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from connectors.postgres import PostgresSink
from mainstem import Secret
from mainstem.devstack import Stack
from mainstem.testing.sink_contract import ExactlyOnceContract
from mainstem.testing.sink_rig import Rig

LEDGER = """
CREATE TABLE ledger (entry text NOT NULL, line integer NOT NULL, amount numeric(12, 2) NOT NULL CHECK (amount <> 0));
CREATE FUNCTION balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(amount) FROM ledger WHERE entry = NEW.entry) <> 0 THEN
        RAISE EXCEPTION 'entry % does not balance with %', NEW.entry, NEW.amount;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER balances AFTER INSERT OR UPDATE ON ledger DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION balances();
"""


class PostgresRig(Rig):
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def sink(self, *, key: tuple[str, ...] = (), replace_by: str | None = None) -> PostgresSink:
        if key:
            with psycopg.connect(self.dsn) as connection:
                connection.execute("CREATE UNIQUE INDEX IF NOT EXISTS ledger_key ON ledger (entry, line)")
        return PostgresSink(dsn=Secret(self.dsn), table="ledger", key=key, replace_by=replace_by)

    async def rows(self) -> Sequence[tuple[str, int, Decimal]]:
        with psycopg.connect(self.dsn) as connection:
            return sorted(connection.execute("SELECT entry, line, amount FROM ledger").fetchall())


@pytest.mark.stack
class TestPostgresSink(ExactlyOnceContract):
    @pytest.fixture
    def rig(self, stack: Stack) -> Iterator[PostgresRig]:
        """A schema of its own, found by the search path."""
        schema = f"sink_{uuid4().hex}"
        dsn = make_conninfo(stack.postgres_dsn, options=f"-c search_path={schema}")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            connection.execute(LEDGER)
            yield PostgresRig(dsn)
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
