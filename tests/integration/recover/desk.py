"""An operator's desk: a small project around a shop, its commands, and its sink running beside them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import typer
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from mainstem.app.services import Services
from mainstem.app.sinks import run_sink
from mainstem.cli import dlq
from mainstem.codec import headers as h
from mainstem.codec.message import Message
from mainstem.devstack import Stack, recreate_database
from mainstem.kafka.record import Record
from mainstem.project.load import load
from mainstem.recover.letters import read_letters
from tests.backbone_process import until
from tests.integration.recover.conftest import Shop

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "household", "type": "string", "mainstem.tags": ["pii"]},
    {"name": "net", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
]
TABLE = """
CREATE TABLE sold (
    n bigserial, id text, household text, net numeric CONSTRAINT net_is_positive CHECK (net > 0), till text);
"""
"""Append-only: nothing in it would stop a second copy."""
SECRET = "MAINSTEM_SECRET_TARGET"


def schema(shop: Shop, *more: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "record", "namespace": shop.topic.split(".")[0], "name": "sold", "fields": [*FIELDS, *more]}


@dataclass
class Desk:
    """The project's folder and its target; `run` is `mainstem dlq ...`."""

    shop: Shop
    folder: Path
    dsn: str

    def run(self, *arguments: str, given: str | None = None) -> Result:
        app = typer.Typer()
        app.add_typer(dlq.app, name="dlq")
        return CliRunner().invoke(app, ["dlq", *arguments, "--project", str(self.folder)], input=given)

    def json(self, *arguments: str, code: int = 0, given: str | None = None) -> Any:
        """What the command prints, as data."""
        result = self.run(*arguments, "-o", "json", given=given)
        assert result.exit_code == code, (result.stderr, result.exception)
        return json.loads(result.stdout)

    def services(self) -> Services:
        return Services.of(load(self.folder))

    def sell(self, *sales: tuple[str, str, str]) -> None:
        """Publishes sales: key, id and net."""
        with self.services() as services:
            encoder = services.codec.encoder(self.shop.topic)
            self.shop.send(
                [
                    Record(
                        self.shop.topic,
                        key.encode(),
                        encoder.encode({"id": name, "household": "Miller", "net": Decimal(net)}),
                        [(h.ID, name.encode())],
                    )
                    for key, name, net in sales
                ]
            )

    def sold(self) -> list[tuple[str, Decimal]]:
        """What stands in the table, in the order in which it was written."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute("SELECT id, net FROM sold ORDER BY n").fetchall()

    def states(self) -> dict[str, str]:
        """Every dead letter's."""
        return {letter.event_id: letter.state for letter in read_letters(self.shop.config, self.shop.dlq).letters}

    def copies(self) -> list[Message]:
        return self.shop.read(self.shop.dlq)

    @contextmanager
    def sink(self) -> Iterator[None]:
        """The project's sink at work until the block ends."""
        stop, loop = asyncio.Event(), asyncio.new_event_loop()

        async def work() -> None:
            with self.services() as services:
                await run_sink(services, services.project.sinks[0], stop)

        thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
        with capture_logs():  # what it logs must not stand among what a command prints
            thread.start()
            try:
                yield
            finally:
                loop.call_soon_threadsafe(stop.set)
                thread.join()
                loop.close()

    def until_states(self, expected: Mapping[str, str]) -> None:
        until(lambda: self.states() == expected, what=self.states)


def open_desk(shop: Shop, stack: Stack, folder: Path, set_env: Callable[[str, str], None]) -> Desk:
    """Writes the project, registers its schema and makes its database."""
    name = shop.part.split(".", 1)[0]
    dsn = recreate_database(stack.postgres_dsn, name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLE)
    set_env(SECRET, dsn)
    settings = f'kafka: {{bootstrap: "{stack.bootstrap}"}}\nregistry: {{url: "{stack.registry_url}"}}\n'
    (folder / "mainstem.yaml").write_text(f"project: {name}\n{settings}")
    (folder / "integrations").mkdir()
    (folder / "integrations" / f"{name}.yaml").write_text(
        f"integration: {name}\nowner: finance\nsinks:\n  - name: journal\n    connector: postgres\n"
        f'    topics: [{shop.topic}]\n    settings: {{dsn: "${{secret:target}}", table: sold}}\n'
    )
    schemas = folder / "schemas" / name
    schemas.mkdir(parents=True)
    (schemas / "sold.v1.avsc").write_text(json.dumps(schema(shop)))
    desk = Desk(shop, folder, dsn)
    with desk.services() as services:
        services.registry.register(f"{shop.topic}-value", schema(shop))
    return desk
