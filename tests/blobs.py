"""A project with one sink that appends blobs to a table, under a name of its own: records as large as a test wants."""

from __future__ import annotations

import asyncio
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from mainstem import Event, devstack
from mainstem.app.apply import find_changes, make_changes
from mainstem.app.services import Services
from mainstem.codec.headers import write_headers
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.record import Record
from mainstem.project.load import load

PARTITIONS = 4
CHUNK = 200
CHUNK_BYTES = 64 << 20
LETTERS = "".join(random.Random(7).choices(string.ascii_letters, k=1_001_000))
TABLE = "CREATE TABLE blob (id text NOT NULL, n bigint NOT NULL, kind text, is_gift boolean, cents bigint, text text)"
TYPES: Mapping[str, str] = {
    "id": "string",
    "n": "long",
    "kind": "string",
    "is_gift": "boolean",
    "cents": "long",
    "text": "string",
}


@dataclass
class Blobs:
    """The project's folder, its topic and its database; there is no unique key, so doubling would show."""

    folder: Path
    services: Services
    topic: str
    dsn: str

    async def publish(self, numbers: Sequence[int], record_bytes: int) -> None:
        """One record for each number, durable when this returns."""
        encode = (await asyncio.to_thread(self.services.codec.encoder, self.topic)).encode
        step = max(1, min(CHUNK, CHUNK_BYTES // record_bytes))
        async with DurableProducer({**self.services.config, "queue.buffering.max.kbytes": 256 << 10}) as producer:
            for at in range(0, len(numbers), step):
                await producer.send([self._record(encode, n, record_bytes) for n in numbers[at : at + step]])

    def rows(self) -> tuple[int, int]:
        """All of them, and how many differ."""
        with psycopg.connect(self.dsn) as connection:
            found = connection.execute("SELECT count(*), count(DISTINCT n) FROM blob").fetchone()
        assert found is not None
        return int(found[0]), int(found[1])

    def _record(self, encode: Callable[[Mapping[str, object]], bytes | None], n: int, size: int) -> Record:
        text = LETTERS[n % 1000 :][:size]  # no two neighbours alike, so that compression does not make them small
        data = {"id": f"blob-{n}", "n": n, "kind": "made", "is_gift": n % 7 == 0, "cents": n, "text": text}
        event = Event(id=f"blob-{n}", key=f"key-{n}", type=self.topic.removesuffix(".v1"), source="tests")
        return Record(self.topic, f"key-{n}".encode(), encode(data), write_headers(event))


@contextmanager
def blob_project(folder: Path, stack: devstack.Stack) -> Iterator[Blobs]:
    """Made and applied. Its topics are deleted at the end: they may be large."""
    namespace = f"blobs{uuid.uuid4().hex[:10]}"
    dsn = devstack.ensure_database(stack.postgres_dsn, namespace)
    with psycopg.connect(dsn) as connection:
        connection.execute(TABLE)
    _write(folder, stack, namespace)
    write_dsn(folder, dsn)
    with Services.of(load(folder)) as services:
        make_changes(services, find_changes(services))
        try:
            yield Blobs(folder, services, f"{namespace}.blob.v1", dsn)
        finally:
            services.admin.delete([name for name in services.admin.topics() if name.startswith(namespace)])


def write_dsn(folder: Path, dsn: str) -> None:
    """The sink's way to its database."""
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    (secrets / "dsn").write_text(dsn)
    (secrets / "dsn").chmod(0o600)


def _write(folder: Path, stack: devstack.Stack, namespace: str) -> None:
    fields = [{"name": name, "type": kind} for name, kind in TYPES.items()]
    schema = {"type": "record", "namespace": namespace, "name": "blob", "fields": fields}
    schemas = folder / "schemas" / namespace
    schemas.mkdir(parents=True)
    (schemas / "blob.v1.avsc").write_text(json.dumps(schema))
    (folder / "mainstem.yaml").write_text(
        f"project: blobs\nkafka: {{bootstrap: '{stack.bootstrap}'}}\nregistry: {{url: '{stack.registry_url}'}}\n"
        f"defaults: {{partitions: {PARTITIONS}}}\nsecrets: {{backend: file, folder: secrets}}\n"
    )
    (folder / "integrations").mkdir()
    (folder / "integrations" / "blobs.yaml").write_text(
        f"integration: {namespace}\nowner: tests\nsinks:\n  - name: blobs\n    connector: postgres\n"
        f"    topics: [{namespace}.blob.v1]\n    settings: {{dsn: '${{secret:dsn}}', table: blob}}\n"
    )
