"""The PostgreSQL sink beside a plain confluent-kafka + fastavro + binary COPY loop.

    python -m tests.bench.sink                # 200,000 rows, three interleaved rounds, insert and update

Both write the same topic into the same kind of table, 5,000 records a batch, offsets in the same transaction, each in a
process of its own on the same broker and database. The rate is taken from the offsets in the database, between the
first batch that is visible and the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastavro
import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from psycopg import sql

from mainstem import devstack
from mainstem.app import interpreter
from mainstem.app.apply import find_changes, make_changes
from mainstem.app.services import Services
from mainstem.app.sinks import run_sink
from mainstem.codec.headers import write_headers
from mainstem.event import Event
from mainstem.project.load import load
from tests.bench.orders import TABLE, orders, schema

REPOSITORY = Path(__file__).parent.parent.parent
BATCH = 5000
PARTITIONS = 4
COLUMNS = tuple(field["name"] for field in schema("x")["fields"])
TYPES = ["text", "text", "int8", *["text"] * 5, "numeric", "int8", "timestamptz", "bool", "text"]
GIVE_UP_S = 300


@dataclass(frozen=True)
class Job:
    """One run of one contestant."""

    folder: str
    bootstrap: str
    dsn: str
    topic: str
    table: str
    run: str


def plain(job: Job) -> None:
    """The floor: nothing but the libraries, with what a correct loop needs."""
    parsed = fastavro.parse_schema(schema(job.topic.rsplit(".", 2)[0]))
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap,
            "group.id": job.run,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(job.topic, number, 0) for number in range(PARTITIONS)])
    names = ", ".join(COLUMNS)
    updates = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
    with psycopg.connect(job.dsn) as connection:
        connection.execute(f"CREATE TEMP TABLE stage (LIKE {job.table}) ON COMMIT DELETE ROWS")
        connection.commit()
        while True:
            ends: dict[int, int] = {}
            with connection.cursor() as cursor:
                messages: list[Any] = consumer.consume(BATCH, 0.2)
                with cursor.copy(f"COPY stage ({names}) FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(TYPES)
                    for message in messages:
                        buffer = BytesIO(message.value())
                        buffer.seek(5)
                        record: Any = fastavro.schemaless_reader(buffer, parsed)
                        copy.write_row(tuple(record.values()))
                        ends[message.partition()] = message.offset() + 1
                cursor.execute(
                    f"INSERT INTO {job.table} ({names}) SELECT {names} FROM stage "
                    f"ON CONFLICT (order_id) DO UPDATE SET {updates}"
                )
                for partition, end in ends.items():
                    cursor.execute(
                        "UPDATE bench_offsets SET next_offset = %s WHERE run = %s AND partition = %s",
                        [end, job.run, partition],
                    )
            connection.commit()


def backbone(job: Job) -> None:
    """mainstem's worker, as `mainstem run --only sinks` runs it."""

    async def work() -> None:
        interpreter.settle()
        with Services.of(load(Path(job.folder))) as services:
            await run_sink(services, services.project.sinks[0], asyncio.Event())

    asyncio.run(work())


CONTESTANTS = {"plain": plain, "mainstem": backbone}


def progress(connection: psycopg.Connection[Any], contestant: str, job: Job) -> int:
    """Records whose rows are visible."""
    if contestant == "plain":
        row = connection.execute("SELECT sum(next_offset) FROM bench_offsets WHERE run = %s", [job.run]).fetchone()
    else:
        found = connection.execute("SELECT to_regclass('mainstem_offsets')").fetchone()
        if found is None or found[0] is None:
            return 0
        asked = "SELECT sum(next_offset) FROM mainstem_offsets WHERE topic = %s AND sink LIKE %s"
        row = connection.execute(asked, [job.topic, f"%{job.run}%"]).fetchone()
    return int((row and row[0]) or 0)


def measure(contestant: str, job: Job, count: int) -> tuple[float, float]:
    """Records a second between the first and the last visible batch, and CPU microseconds a record."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=CONTESTANTS[contestant], args=(job,), daemon=True)
    process.start()
    deadline = time.monotonic() + GIVE_UP_S
    first: tuple[float, int] | None = None
    try:
        with psycopg.connect(job.dsn, autocommit=True) as connection:
            while True:
                done, now = progress(connection, contestant, job), time.perf_counter()
                if first is None and done:
                    first = (now, done)
                    cpu = _cpu_s(process.pid or 0)
                if done >= count and first is not None:
                    rate = (done - first[1]) / (now - first[0])
                    return rate, (_cpu_s(process.pid or 0) - cpu) / (done - first[1]) * 1e6
                if time.monotonic() > deadline or not process.is_alive():
                    raise SystemExit(f"{contestant} stopped at {done} of {count}")
                time.sleep(0.01)
    finally:
        process.kill()
        process.join()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def project(stack: devstack.Stack, dsn: str, namespace: str, run: str, table: str) -> Iterator[Path]:
    """A project with one sink and nothing else."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        schemas = folder / "schemas" / namespace
        schemas.mkdir(parents=True)
        (schemas / "order.v1.avsc").write_text(json.dumps(schema(namespace)))
        (folder / "mainstem.yaml").write_text(
            f"project: bench\nkafka: {{bootstrap: '{stack.bootstrap}'}}\nregistry: {{url: '{stack.registry_url}'}}\n"
            f"defaults: {{partitions: {PARTITIONS}}}\nsecrets: {{backend: file, folder: secrets}}\n"
        )
        (folder / "integrations").mkdir()
        (folder / "integrations" / "bench.yaml").write_text(
            f"integration: bench-{run}\nowner: bench\nsinks:\n  - name: orders\n    connector: postgres\n"
            f"    topics: [{namespace}.order.v1]\n"
            f"    settings: {{dsn: '${{secret:dsn}}', table: {table}, key: [order_id]}}\n"
        )
        (folder / "secrets").mkdir(mode=0o700)
        (folder / "secrets" / "dsn").write_text(dsn)
        (folder / "secrets" / "dsn").chmod(0o600)
        yield folder


def fill(services: Services, topic: str, count: int) -> None:
    """Writes the orders once, framed and with the headers that mainstem's own sources write."""
    encoder = services.codec.encoder(topic)
    producer = Producer({**services.config, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for order in orders(count):
        event = Event(id=order["order_id"], time=order["created_at"], type="bench.order", source="bench")
        producer.produce(topic, encoder.encode(order), order["order_id"], headers=[*write_headers(event)])
        producer.poll(0)
    producer.flush()


def bench(count: int, rounds: int) -> Mapping[str, Any]:
    """Interleaved rounds; each inserts into an empty table and then updates every row of it."""
    found: dict[str, list[tuple[float, float]]] = {}
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running:
        stack = running.stack
        namespace = f"bench{uuid.uuid4().hex[:8]}"
        topic = f"{namespace}.order.v1"
        dsn = devstack.ensure_database(stack.postgres_dsn, namespace)
        with project(stack, dsn, namespace, "fill", "none") as folder, Services.of(load(folder)) as services:
            make_changes(services, find_changes(services))
            fill(services, topic, count)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE bench_offsets (run text, partition int, next_offset bigint)")
            for number in range(rounds):
                for contestant in CONTESTANTS:
                    table = f"{contestant}_{number}"
                    connection.execute(sql.SQL(TABLE).format(table=sql.Identifier(table)))
                    for mode in ("insert", "update"):
                        run = f"{contestant}-{number}-{mode}"
                        for partition in range(PARTITIONS):
                            connection.execute("INSERT INTO bench_offsets VALUES (%s, %s, 0)", [run, partition])
                        with project(stack, dsn, namespace, run, table) as folder:
                            with Services.of(load(folder)) as services:
                                make_changes(services, find_changes(services))
                            job = Job(str(folder), stack.bootstrap, dsn, topic, table, run)
                            result = measure(contestant, job, count)
                        found.setdefault(f"{contestant} {mode}", []).append(result)
                        told = f"{result[0]:,.0f}/s, {result[1]:.1f} us CPU"
                        print(f"round {number + 1}: {contestant} {mode}: {told}", flush=True)  # noqa: T201
                    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(table)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = bench(options.rows, options.rounds)
    medians = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in found.items()}
    for mode in ("insert", "update"):
        ours, floor = medians[f"mainstem {mode}"], medians[f"plain {mode}"]
        print(  # noqa: T201
            f"{mode}: mainstem {ours[0]:,.0f}/s ({ours[1]:.1f} us CPU), plain loop {floor[0]:,.0f}/s "
            f"({floor[1]:.1f} us CPU), ratio {ours[0] / floor[0]:.2f}"
        )


if __name__ == "__main__":
    main()
