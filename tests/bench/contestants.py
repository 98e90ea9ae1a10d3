"""Who is measured: each is a function that works on a topic of orders until its process is killed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import faust
from confluent_kafka import Consumer, Producer, TopicPartition

from mainstem.codec.avro import Codec
from mainstem.event import Event as MainstemEvent
from mainstem.observe.board import Board
from mainstem.process.duplicates import Duplicates, topic_tail
from mainstem.process.engine import Engine, EngineSettings, Hooks
from mainstem.process.librdkafka import App, EngineOptions, Event
from mainstem.process.outputs import Outputs
from mainstem.process.report import StreamReport
from mainstem.process.runner import StreamRunner
from mainstem.sdk.stream import Stream
from mainstem.testing.memory_registry import MemoryRegistry
from tests.bench import kafka_streams, quix
from tests.bench.order_step import change, change_view, decode, encode, encode_view, view
from tests.bench.orders import schema

PARTITIONS = 4
BATCH = 10_000


@dataclass(frozen=True)
class Job:
    """One run of one contestant."""

    bootstrap: str
    reads: str
    writes: str
    group: str
    count: int
    folder: str


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


def engine(job: Job, guarantee: str, **options: Any) -> App:
    return App(
        job.group,
        broker=f"librdkafka://{job.bootstrap}",
        processing_guarantee=guarantee,
        store="memory://",
        datadir=job.folder,
        topic_partitions=PARTITIONS,
        broker_commit_interval=0.5,
        engine=EngineOptions(**{"member": "bench", "batch": 2000, "epoch_events": 20_000, **options}),
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


def native(job: Job, guarantee: str) -> None:
    """A step by the native codec, with a commit a second, as Kafka Streams has here."""
    app = engine(job, guarantee, epoch_ms=1000, epoch_events=200_000)

    @app.step(job.reads, writes=job.writes, decode=view, encode=encode_view)
    def settle(event: Event, table: Any) -> Event:
        return event.with_value(change_view(event.value))

    run(app)


def native_alo(job: Job) -> None:
    native(job, "at_least_once")


def native_eos(job: Job) -> None:
    native(job, "exactly_once")


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


def kafka_streams_alo(job: Job) -> None:
    kafka_streams.become({**asdict(job), "guarantee": "at_least_once"})


def kafka_streams_eos(job: Job) -> None:
    kafka_streams.become({**asdict(job), "guarantee": "exactly_once_v2"})


def _quix(job: Job, guarantee: str, commit_every: int = 0) -> None:
    quix.become({**asdict(job), "guarantee": guarantee, "commit_every": commit_every})


def quix_alo(job: Job) -> None:
    _quix(job, "at-least-once")


def quix_eos(job: Job) -> None:
    _quix(job, "exactly-once")


def quix_eos_10k(job: Job) -> None:
    """In transactions of 10,000 orders, as the plain loop's; by default they last 5 s."""
    _quix(job, "exactly-once", BATCH)
