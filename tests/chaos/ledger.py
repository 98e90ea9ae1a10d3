"""A small project for the SQL sink: movements of many accounts, in two tables.

They are appended to the one as they are, without a mapping and so in whole batches, and upserted into the other by one.

The database refuses a movement with a negative amount. Nothing in the append-only table would stop a second copy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from connectors.postgres.control import TABLES
from mainstem.app.apply import find_changes, make_changes, wanted_topics
from mainstem.app.services import Services
from mainstem.devstack import Stack
from mainstem.project.load import load
from tests.chaos.database import Database
from tests.chaos.epochs import AUDIT
from tests.chaos.oracle import Mark

APPENDED, KEYED = "movements", "movements_by_id"
SINKS = (APPENDED, KEYED)
BATCH = 500
"""Small: a batch must be over before the next fault, or there would be no progress at all."""
SECRET = "MAINSTEM_SECRET_LEDGER_DSN"
ROWS = f"""
CREATE TABLE {APPENDED} (
    n bigserial, event_id text NOT NULL, key text NOT NULL, seq int NOT NULL,
    amount int NOT NULL CONSTRAINT amount_is_not_negative CHECK (amount >= 0));
CREATE TABLE {KEYED} (LIKE {APPENDED} INCLUDING ALL, PRIMARY KEY (event_id));
"""
MAPPING = '''"""A movement is one row."""

from collections.abc import Iterator

from mainstem import Event, Row


def row(event: Event) -> Iterator[Row]:
    yield {"event_id": event.id, "key": event.key, "seq": event.data["seq"], "amount": event.data["amount"]}
'''
SETTINGS = """
      dsn: ${{secret:ledger_dsn}}
      table: {table}
      connect_timeout_s: 2
      statement_timeout_s: 5
      lock_timeout_s: 5
      idle_timeout_s: 3
"""
"""Short, because a fault follows the next within seconds; the lock's still longer than the idle session's."""


@dataclass(frozen=True)
class Ledger:
    """One such project, under names of its own, with its database."""

    folder: Path
    tag: str
    database: str

    @property
    def topic(self) -> str:
        return f"ledger_{self.tag}.movement.v1"

    @property
    def integration(self) -> str:
        return f"ledger-{self.tag}"

    def dlq(self, sink: str) -> str:
        return f"{self.integration}.{sink}.dlq"

    def services(self) -> Services:
        """Connections to the stack, for this project; to be closed."""
        return Services.of(load(self.folder))

    def remove(self, database: Database) -> None:
        """Its topics and its database."""
        with self.services() as services:
            theirs = [spec.name for spec in wanted_topics(services.project) if self.tag in spec.name]
            services.admin.delete(theirs)
        with database.connect() as connection:
            connection.execute(f"DROP DATABASE {self.database} WITH (FORCE)".encode())


def open_ledger(folder: Path, tag: str, stack: Stack, database: Database) -> Ledger:
    """Writes the project and makes its topics, schema and database."""
    ledger = Ledger(folder, tag, f"ledger_{tag}")
    _write(ledger, stack)
    with database.connect() as connection:
        connection.execute(f"CREATE DATABASE {ledger.database}".encode())
    with database.connect(ledger.database) as connection:
        for statement in (*TABLES, ROWS, AUDIT):
            connection.execute(statement.encode())
    with ledger.services() as services:
        make_changes(services, find_changes(services))
    return ledger


def _write(ledger: Ledger, stack: Stack) -> None:
    schemas = ledger.folder / "schemas" / f"ledger_{ledger.tag}"
    integrations = ledger.folder / "integrations"
    for folder in (schemas, integrations):
        folder.mkdir(parents=True)
    (schemas / "movement.v1.avsc").write_text(json.dumps(_schema(ledger.tag)))
    (ledger.folder / "mainstem.yaml").write_text(
        f"project: chaos\nkafka: {{bootstrap: '{stack.bootstrap}'}}\nregistry: {{url: '{stack.registry_url}'}}\n"
    )
    (integrations / f"ledger_{ledger.tag}.py").write_text(MAPPING)
    sinks = [_sink(ledger, APPENDED, ""), _sink(ledger, KEYED, "      key: [event_id]\n")]
    text = f"integration: {ledger.integration}\nowner: chaos\nsinks:\n{''.join(sinks)}"
    (integrations / f"{ledger.integration}.yaml").write_text(text)


def _sink(ledger: Ledger, table: str, more: str) -> str:
    settings = SETTINGS.format(table=table) + more
    mapping = f"    map: ledger_{ledger.tag}:row\n" if table == KEYED else ""
    return (
        f"  - name: {table}\n    connector: postgres\n    topics: [{ledger.topic}]\n"
        f"{mapping}    batch: {{max_records: {BATCH}}}\n    settings:{settings}"
    )


def _schema(tag: str) -> dict[str, Any]:
    fields = [
        {"name": "event_id", "type": "string"},
        {"name": "key", "type": "string"},
        {"name": "seq", "type": "int"},
        {"name": "amount", "type": "int"},
    ]
    return {"type": "record", "namespace": f"ledger_{tag}", "name": "movement", "fields": fields}


def rows(connection: psycopg.Connection, table: str) -> list[Mark]:
    """What stands in the table, in the order in which it was written."""
    found = connection.execute(f"SELECT event_id, key, seq FROM {table} ORDER BY n".encode())
    return [Mark(*row) for row in found]
