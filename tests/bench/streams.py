"""Streams on the engine and mainstem's own beside a plain confluent-kafka + fastavro loop and stock Faust.

    python -m tests.bench.streams                    # 100,000 orders (10,000 one by one), three interleaved rounds

All read the same topic of Avro orders, change two fields and write Avro, each in a process of its own on the same
broker. The rate is taken from the broker's append times in a fresh output topic, between the first record and the last.
Every run has to write each order once.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import faust
from confluent_kafka import Consumer, Producer, TopicPartition

from mainstem import devstack
from mainstem.codec.avro import Codec
from mainstem.event import Event as MainstemEvent
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.observe.board import Board
from mainstem.process.duplicates import Duplicates, topic_tail
from mainstem.process.engine import Engine, EngineSettings, Hooks
from mainstem.process.librdkafka import App, EngineOptions, Event
from mainstem.process.outputs import Outputs
from mainstem.process.report import StreamReport
from mainstem.process.runner import StreamRunner
from mainstem.sdk.stream import Stream
from mainstem.testing.memory_registry import MemoryRegistry
from tests.bench.orders import orders, schema

REPOSITORY = Path(__file__).parent.parent.parent
PARTITIONS = 4
BATCH = 10_000
GIVE_UP_S = 300.0
HEADER = b"\x00\x00\x00\x00\x01"
SCHEMA: Any = fastavro.parse_schema(schema("bench"))


@dataclass(frozen=True)
class Job:
    """One run of one contestant."""

    bootstrap: str
    reads: str
    writes: str
    group: str
    count: int
    folder: str


def decode(value: bytes | None) -> Any:
    return fastavro.schemaless_reader(BytesIO((value or b"")[5:]), SCHEMA, None)


def encode(order: Any) -> bytes:
    buffer = BytesIO()
    buffer.write(HEADER)
    fastavro.schemaless_writer(buffer, SCHEMA, order)
    return buffer.getvalue()


def change(order: Any) -> Any:
    order["status"] = "seen"
    order["total"] += Decimal("0.01")
    return order


def plain(job: Job, *, transactional: bool) -> None:
    """The floor: nothing but the libraries, with what a correct loop needs."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap,
            "group.id": job.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    identity = {"transactional.id": job.group} if transactional else {}
    producer = Producer(
        {
            "bootstrap.servers": job.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 500_000,
            **identity,
        }
    )
    if transactional:
        producer.init_transactions()
    consumer.subscribe([job.reads])
    ends: dict[int, int] = {}
    taken, since = 0, time.monotonic()
    while True:
        messages: list[Any] = consumer.consume(5000, 0.1)
        for message in messages:
            if transactional and not ends:
                producer.begin_transaction()
            producer.produce(job.writes, encode(change(decode(message.value()))), message.key())
            ends[message.partition()] = message.offset() + 1
        taken += len(messages)
        if ends and (taken >= BATCH or time.monotonic() - since > 1):
            offsets = [TopicPartition(job.reads, number, end) for number, end in ends.items()]
            if transactional:
                producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
                producer.commit_transaction()
            else:
                producer.flush()
                consumer.commit(offsets=offsets, asynchronous=False)
            ends, taken, since = {}, 0, time.monotonic()


def plain_alo(job: Job) -> None:
    plain(job, transactional=False)


def plain_eos(job: Job) -> None:
    plain(job, transactional=True)


def engine(job: Job, guarantee: str) -> App:
    return App(
        job.group,
        broker=f"librdkafka://{job.bootstrap}",
        processing_guarantee=guarantee,
        store="memory://",
        datadir=job.folder,
        topic_partitions=PARTITIONS,
        broker_commit_interval=0.5,
        engine=EngineOptions(member="bench", batch=2000, epoch_events=20_000),
    )


def steps(job: Job, guarantee: str, *, has_table: bool = False) -> None:
    app = engine(job, guarantee)
    counts = app.Table("counts", default=int, partitions=PARTITIONS) if has_table else None

    @app.step(job.reads, writes=job.writes, table=counts, decode=decode, encode=encode)
    def settle(event: Event, table: Any) -> Event:
        if table is not None:
            table[event.value["customer_id"]] += 1
        return event.with_value(change(event.value))

    run(app)


def one_by_one(app: faust.App, job: Job) -> None:
    """An agent as people write it."""
    source = app.topic(job.reads, key_serializer="raw", value_serializer="raw")
    sink = app.topic(job.writes, key_serializer="raw", value_serializer="raw")

    @app.agent(source)
    async def settle(stream: Any) -> None:
        async for event in stream.events():
            await sink.send(key=event.key, value=encode(change(decode(event.value))))

    run(app)


def step_alo(job: Job) -> None:
    steps(job, "at_least_once")


def step_eos(job: Job) -> None:
    steps(job, "exactly_once")


def step_eos_table(job: Job) -> None:
    steps(job, "exactly_once", has_table=True)


def agent_alo(job: Job) -> None:
    one_by_one(engine(job, "at_least_once"), job)


def agent_eos(job: Job) -> None:
    one_by_one(engine(job, "exactly_once"), job)


def mainstem_stream(job: Job) -> None:
    """A stream as `mainstem run` hosts it: events with ids, checked for duplicates, encoded by the native codec."""

    def seen(order: MainstemEvent) -> MainstemEvent:
        data = order.data
        return order.replace(data={**data, "status": "seen", "total": data["total"] + Decimal("0.01")})

    stream = Stream(seen, job.reads, job.writes)
    definitions = {topic: schema("bench") for topic in (job.reads, job.writes)}
    codec = Codec(MemoryRegistry(definitions), definitions)
    config = {"bootstrap.servers": job.bootstrap}
    duplicates = Duplicates(topic_tail(config))
    runner = StreamRunner(
        stream,
        tables={},
        decoder=codec.decoder(job.reads),
        outputs=Outputs(stream, codec.encoder(job.writes)),
        duplicates=duplicates,
        report=StreamReport(stream.name, Board()),
    )
    settings = EngineSettings(job.group, job.reads, config, Path(job.folder), job.group)
    asyncio.run(Engine(settings, runner.step, Hooks(duplicates.reassigned)).run(asyncio.Event()))


def stock(job: Job, guarantee: str) -> None:
    settings: dict[str, Any] = {
        "broker": f"aiokafka://{job.bootstrap}",
        "processing_guarantee": guarantee,
        "datadir": job.folder,
        "topic_partitions": PARTITIONS,
        "web_enabled": False,
        "topic_disable_leader": True,
        "consumer_auto_offset_reset": "earliest",
    }
    one_by_one(faust.App(job.group, **settings), job)


def stock_alo(job: Job) -> None:
    stock(job, "at_least_once")


def stock_eos(job: Job) -> None:
    stock(job, "exactly_once")


def run(app: faust.App) -> None:
    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()


SLOW = 10
"""Contestants that go one by one get a tenth of the orders."""
CONTESTANTS: dict[Callable[[Job], None], int] = {
    plain_alo: 1,
    step_alo: 1,
    plain_eos: 1,
    step_eos: 1,
    step_eos_table: 1,
    mainstem_stream: 1,
    stock_alo: SLOW,
    agent_alo: SLOW,
    stock_eos: SLOW,
    agent_eos: SLOW,
}
RATIOS = [
    (step_alo, plain_alo),
    (step_alo, stock_alo),
    (step_eos, step_alo),
    (step_eos, plain_eos),
    (step_eos_table, step_eos),
    (mainstem_stream, plain_eos),
    (agent_alo, stock_alo),
    (agent_eos, stock_eos),
]


def fill(bootstrap: str, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 500_000})
    for order in orders(count):
        producer.produce(topic, encode(order), order["order_id"])
    producer.flush()


def measure(contestant: Callable[[Job], None], job: Job) -> float:
    """Records a second."""
    process = multiprocessing.get_context("spawn").Process(target=contestant, args=(job,))
    process.start()
    try:
        wait(job, process)
    finally:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
    stamps: list[int] = []
    with reading({"bootstrap.servers": job.bootstrap}) as reader:
        for batch in reader.read(reader.whole([job.writes])):
            stamps += [message.timestamp()[1] for message in batch]
    if len(stamps) != job.count:
        raise SystemExit(f"{contestant.__name__} wrote {len(stamps)} of {job.count} orders")
    first, last = min(stamps), max(stamps)
    return sum(stamp > first for stamp in stamps) / (last - first) * 1000


def wait(job: Job, process: Any) -> None:
    """Until the group has committed all of the input."""
    client = Consumer({"bootstrap.servers": job.bootstrap, "group.id": job.group})
    places = [TopicPartition(job.reads, number) for number in range(PARTITIONS)]
    deadline = time.monotonic() + GIVE_UP_S
    try:
        ends = sum(client.get_watermark_offsets(place, timeout=10)[1] for place in places)
        while sum(max(0, place.offset) for place in client.committed(places, timeout=30)) < ends:
            if time.monotonic() > deadline or not process.is_alive():
                raise SystemExit(f"{job.group} did not finish")
            time.sleep(0.2)
    finally:
        client.close()


def bench(count: int, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running, tempfile.TemporaryDirectory() as folder:
        bootstrap, tag = running.stack.bootstrap, uuid.uuid4().hex[:8]
        admin = Admin({"bootstrap.servers": bootstrap})
        jobs = {
            share: Job(bootstrap, f"bench.in{share}{tag}.v1", "", "", count // share, folder) for share in (1, SLOW)
        }
        admin.create([TopicSpec(job.reads, PARTITIONS) for job in jobs.values()])
        for job in jobs.values():
            fill(bootstrap, job.reads, job.count)
        for number in range(rounds):
            for contestant, share in CONTESTANTS.items():
                name, run_tag = contestant.__name__, uuid.uuid4().hex[:8]
                job = replace(jobs[share], writes=f"bench.out{run_tag}.v1", group=f"bench.{name}.{run_tag}")
                admin.create([TopicSpec(job.writes, PARTITIONS, 1, {"message.timestamp.type": "LogAppendTime"})])
                rate = measure(contestant, job)
                found.setdefault(name, []).append(rate)
                print(f"round {number + 1}: {name}: {rate:,.0f}/s", flush=True)  # noqa: T201
                admin.delete([job.writes])
        admin.delete([job.reads for job in jobs.values()])
    return found


def report(found: dict[str, list[float]]) -> Sequence[str]:
    median = {name: statistics.median(rates) for name, rates in found.items()}
    rates = [f"{name}: {rate:,.0f} records/s" for name, rate in median.items()]
    ratios = [
        f"{one.__name__} / {other.__name__}: {median[one.__name__] / median[other.__name__]:.2f}"
        for one, other in RATIOS
    ]
    return [*rates, *ratios]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for line in report(bench(options.orders, options.rounds)):
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
