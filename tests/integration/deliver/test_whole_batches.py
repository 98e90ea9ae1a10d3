"""Topics into tables without a mapping: batches as a whole from Kafka to PostgreSQL, and by items where need be."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mainstem import Event, devstack
from mainstem.app.apply import find_changes, make_changes
from mainstem.app.services import Services
from mainstem.app.sinks import run_sink
from mainstem.codec import headers as h
from mainstem.codec.message import Message
from mainstem.flow import dead_letter as dl
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.observe import metrics
from mainstem.project.load import load

pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)
pytestmark = pytest.mark.stack
DEADLINE_S = 120
OLD: list[dict[str, Any]] = [{"name": "id", "type": "string"}, {"name": "n", "type": "int"}]
NEW: list[dict[str, Any]] = [*OLD, {"name": "note", "type": ["null", "string"], "default": None}]
TABLE = "CREATE TABLE thing (id text PRIMARY KEY, n integer CHECK (n >= 0), note text, at serial)"


class Shop:
    """A project of one topic and one sink, with a database of its own."""

    def __init__(self, folder: Path, stack: devstack.Stack) -> None:
        self.folder = folder
        self.tag = f"whole{uuid.uuid4().hex[:8]}"
        self.dsn = devstack.ensure_database(stack.postgres_dsn, self.tag)
        (folder / "schemas" / self.tag).mkdir(parents=True)
        (folder / "mainstem.yaml").write_text(
            f"project: whole\nkafka: {{bootstrap: '{stack.bootstrap}'}}\nregistry: {{url: '{stack.registry_url}'}}\n"
            "defaults: {partitions: 1}\nsecrets: {backend: file, folder: secrets}\n"
        )
        (folder / "integrations").mkdir()
        (folder / "integrations" / f"{self.tag}.yaml").write_text(
            f"integration: {self.tag}\nowner: tests\nsinks:\n  - name: things\n    connector: postgres\n"
            f"    topics: [{self.topic}]\n    settings: {{dsn: '${{secret:dsn}}', table: thing, key: [id]}}\n"
        )
        (folder / "secrets").mkdir(mode=0o700)
        (folder / "secrets" / "dsn").write_text(self.dsn)
        (folder / "secrets" / "dsn").chmod(0o600)
        self.query(TABLE)

    @property
    def topic(self) -> str:
        return f"{self.tag}.thing.v1"

    def has(self, fields: Sequence[Mapping[str, Any]]) -> Services:
        """The project with these fields, made known to Kafka and the registry; to be closed."""
        schema = {"type": "record", "namespace": self.tag, "name": "thing", "fields": fields}
        (self.folder / "schemas" / self.tag / "thing.v1.avsc").write_text(json.dumps(schema))
        services = Services.of(load(self.folder))
        make_changes(services, find_changes(services))
        return services

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def rows(self) -> list[tuple[Any, ...]]:
        return self.query("SELECT id, n, note FROM thing ORDER BY id")

    def has_row(self, key: str, n: int) -> bool:
        return (key, n, None) in self.rows()

    def taken_whole(self) -> int:
        """How many records were, by the metric."""
        sample = f'mainstem_sink_undecoded_records_total{{integration="{self.tag}",sink="things"}} '
        found = [line for line in metrics.exposition().decode().splitlines() if line.startswith(sample)]
        return int(float(found[0].removeprefix(sample))) if found else 0


@pytest.fixture
def shop(tmp_path: Path, stack: devstack.Stack) -> Shop:
    return Shop(tmp_path, stack)


@pytest.fixture
def services(shop: Shop) -> Iterator[Services]:
    with shop.has(NEW) as connected:
        yield connected


async def publish(shop: Shop, services: Services, *rows: Mapping[str, Any] | str) -> None:
    """Rows, and for a key alone a tombstone."""
    encoder = await asyncio.to_thread(services.codec.encoder, shop.topic)
    records = []
    for row in rows:
        key = row if isinstance(row, str) else row["id"]
        event = Event(id=f"{key}-{uuid.uuid4().hex[:6]}", type="thing", source="/shop", key=key)
        value = None if isinstance(row, str) else encoder.encode(row)
        records.append(Record(shop.topic, key.encode(), value, h.write_headers(event)))
    async with DurableProducer(services.config) as producer:
        await producer.send(records)


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_sink(services, services.project.sinks[0], stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - Kafka and PostgreSQL have no event for it
            await asyncio.sleep(0.05)


def letters(services: Services) -> list[bytes]:
    """The codes of the dead letters."""
    with reading(services.config) as reader:
        topic = services.project.sinks[0].dead_letters
        found: list[Message] = [m for batch in reader.read(reader.whole([topic])) for m in batch]
    return [h.as_dict(message.headers())[dl.CODE] for message in found]


def row(key: str, n: int, note: str | None = None) -> dict[str, Any]:
    return {"id": key, "n": n, "note": note}


async def test_a_batch_of_two_schema_versions_is_written_as_a_whole(shop: Shop) -> None:
    with shop.has(OLD) as older:
        await publish(shop, older, {"id": "a", "n": 1}, {"id": "b", "n": 2})
    with shop.has(NEW) as services:
        await publish(shop, services, row("c", 3, "new"), row("a", 4, "again"), row("d", 5))
        async with running(services):
            await until(lambda: len(shop.rows()) == 4)
    assert shop.rows() == [("a", 4, "again"), ("b", 2, None), ("c", 3, "new"), ("d", 5, None)]
    assert shop.taken_whole() == 5


async def test_a_refused_row_a_tombstone_and_what_does_not_decode_go_by_items(shop: Shop, services: Services) -> None:
    await publish(shop, services, row("a", 1), row("bad", -1), row("b", 2), "a")
    async with DurableProducer(services.config) as producer:
        await producer.send([Record(shop.topic, b"odd", b"no avro")])
    async with running(services):
        await until(lambda: len(letters(services)) == 2)
        assert shop.rows() == [("a", 1, None), ("b", 2, None)]
        for n in range(3):
            await publish(shop, services, row("c", n))
            await until(partial(shop.has_row, "c", n))
        await publish(shop, services, row("bad", 8), row("d", 4))
        await until(lambda: len(letters(services)) == 3)
    assert shop.taken_whole() > 0
    assert sorted(letters(services)) == [b"MS-101", b"MS-105", b"MS-107"]
    assert [key for key, _, _ in shop.rows()] == ["a", "b", "c", "d"]


async def test_a_table_that_cannot_take_the_fields_gets_them_by_items(shop: Shop, services: Services) -> None:
    shop.query("ALTER TABLE thing ALTER COLUMN note TYPE jsonb USING to_jsonb(note)")
    await publish(shop, services, row("a", 1, "x"), row("b", 2))
    async with running(services):
        await until(lambda: len(shop.rows()) == 2)
    assert shop.rows() == [("a", 1, "x"), ("b", 2, None)]
    assert shop.taken_whole() == 0


async def test_a_table_that_changes_under_way_is_written_by_its_new_types(shop: Shop, services: Services) -> None:
    async with running(services):
        await publish(shop, services, row("a", 1))
        await until(lambda: len(shop.rows()) == 1)
        shop.query("ALTER TABLE thing ALTER COLUMN n TYPE numeric")
        shop.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await publish(shop, services, row("b", 2))
        await until(lambda: len(shop.rows()) == 2)
    assert [n for _, n, _ in shop.rows()] == [1, 2]
    assert shop.taken_whole() == 2
