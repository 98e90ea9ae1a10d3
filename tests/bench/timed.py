"""Orders that carry the time at which they were due: who sends, who passes them on exactly once, who reads them."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import faust
from confluent_kafka import Consumer, Producer, TopicPartition

from mainstem.process.librdkafka import App, EngineOptions, Observer
from mainstem.process.librdkafka import Event as Record
from tests.bench.order_step import change, change_view, decode, encode, encode_view, view
from tests.bench.orders import orders

PARTITIONS = 4
WARM_UP_S = 5
"""Of the load, which is not counted."""
Decode = Callable[[bytes | None], Any]
GIVE_UP_S = 120.0
TICK_S = 0.001
DUE = "due"


@dataclass(frozen=True)
class Job:
    """One run of one contestant."""

    bootstrap: str
    reads: str
    writes: str
    group: str
    folder: str
    epoch_ms: int
    rate: int
    seconds: int

    @property
    def count(self) -> int:
        return self.rate * (WARM_UP_S + self.seconds)

    @property
    def commits(self) -> Path:
        """How long Kafka took for each commit, in milliseconds."""
        return Path(self.folder) / f"{self.group}.commits"

    @property
    def lateness(self) -> Path:
        """How much later than it was due each order was sent, in nanoseconds."""
        return Path(self.folder) / f"{self.group}.lateness"


class Commits(Observer):
    """Writes down how long they take."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def committed(self, events: int, epoch_s: float, commit_s: float) -> None:
        self._file.write(f"{commit_s * 1000:.3f}\n")


def step(job: Job) -> None:
    """The engine's options are its defaults, but for the epoch; Avro by the native codec."""
    _step(job, view, change_view, encode_view)


def step_fastavro(job: Job) -> None:
    """The same with fastavro."""
    _step(job, decode, change, encode)


def _step(job: Job, decode: Decode, change: Callable[[Any], Any], encode: Callable[[Any], bytes]) -> None:
    options = EngineOptions(member="bench", epoch_ms=job.epoch_ms, observer=Commits(job.commits))
    app = App(
        job.group,
        broker=f"librdkafka://{job.bootstrap}",
        processing_guarantee="exactly_once",
        store="memory://",
        datadir=job.folder,
        topic_partitions=PARTITIONS,
        engine=options,
    )

    @app.step(job.reads, writes=job.writes, decode=decode, encode=encode)
    def settle(event: Record, _table: Any) -> Record:
        return event.with_value(change(event.value))

    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()


def plain(job: Job) -> None:
    """What somebody would write with the library alone; properties as the engine's."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap,
            "group.id": job.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 20,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": job.bootstrap,
            "linger.ms": 5,
            "partitioner": "murmur2_random",
            "transactional.id": job.group,
        }
    )
    producer.init_transactions()
    consumer.subscribe([job.reads])
    watch, ends, since = Commits(job.commits), dict[int, int](), time.monotonic()
    while True:
        first = consumer.poll(0.01)
        messages: list[Any] = [] if first is None else [first, *consumer.consume(999, 0)]
        if messages and not ends:
            producer.begin_transaction()
        for message in messages:
            value = encode(change(decode(message.value())))
            producer.produce(job.writes, value, message.key(), headers=message.headers())
            ends[message.partition()] = message.offset() + 1
        if ends and time.monotonic() - since >= job.epoch_ms / 1000:
            began = time.monotonic()
            offsets = [TopicPartition(job.reads, number, end) for number, end in ends.items()]
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
            ends, since = {}, time.monotonic()
            watch.committed(len(messages), 0, since - began)


def load(job: Job, is_flowing: Event) -> None:
    """Sends what is due, at once what is overdue; until something is read, only now and then an order that does not
    count."""
    sent = [(encode(order), order["order_id"]) for order in orders(2000)]
    producer = Producer({"bootstrap.servers": job.bootstrap})
    while not is_flowing.wait(0.1):
        producer.produce(job.reads, *sent[0], headers=[(DUE, "0")])
        producer.poll(0)
    began, late = time.monotonic_ns(), array("q")
    for number in range(job.count):
        due = began + number * 1_000_000_000 // job.rate
        while (early_ns := due - time.monotonic_ns()) > 0:
            producer.poll(0)
            time.sleep(max(TICK_S, early_ns / 1e9))
        value, key = sent[number % len(sent)]
        producer.produce(job.reads, value, key, headers=[(DUE, str(due))])
        late.append(time.monotonic_ns() - due)
    job.lateness.write_text("\n".join(map(str, late)))
    producer.flush()


def read(job: Job, is_flowing: Event, answer: Connection) -> None:
    """Answers when each order was due, and how much later it was read; of those that have come in time."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap,
            "group.id": f"{job.group}.reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(job.writes, number, 0) for number in range(PARTITIONS)])
    dues, late = array("q"), array("q")
    deadline = time.monotonic() + WARM_UP_S + job.seconds + GIVE_UP_S
    while len(dues) < job.count and time.monotonic() < deadline:
        first = consumer.poll(0.1)
        if first is None:
            continue
        messages = [first, *consumer.consume(999, 0)]
        now = time.monotonic_ns()
        for message in messages:
            if due := int(dict(message.headers() or [])[DUE] or 0):
                dues.append(due)
                late.append(now - due)
        is_flowing.set()
    answer.send((dues, late))
