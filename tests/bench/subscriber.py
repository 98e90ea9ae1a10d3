"""Kafka to Arrow record batches: the subscriber's columns beside a plain confluent-kafka + fastavro loop.

    python -m tests.bench.subscriber          # 100,000 nested orders, three interleaved rounds

Both read the same topic from its start to its end, 10,000 records a batch, on the same broker and in the same process;
the plain loop makes a dict of each record and hands the dicts to pyarrow. Prints the medians of records a second and of
the process's CPU for a record, and their ratios. The batches are compared first.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pyarrow
from confluent_kafka import Consumer, Producer, TopicPartition

from mainstem import Subscriber, devstack
from mainstem.codec.native.loading import Table
from mainstem.codec.native.plan import compile_plan
from mainstem.codec.registry import Registry, value_subject
from mainstem.kafka.topics import Admin, TopicSpec
from tests.bench.orders import nested_orders, nested_schema

REPOSITORY = Path(__file__).parent.parent.parent
BATCH = 10_000
PARTITIONS = 4
FRAME_BYTES = 5
Batches = Iterator[Any]


class Topic:
    """A topic of nested orders, and both ways to read it."""

    def __init__(self, stack: devstack.Stack, records: int) -> None:
        self.name = f"bench_{uuid.uuid4().hex[:8]}.order.v1"
        self.records = records
        self._stack = stack
        self._schema = nested_schema(self.name.rsplit(".", 2)[0])
        self._parsed = fastavro.parse_schema(self._schema)
        self._arrow = pyarrow.schema(Table(self._schema).layout)

    def fill(self) -> None:
        Admin({"bootstrap.servers": self._stack.bootstrap}).create([TopicSpec(self.name, PARTITIONS)])
        with Registry(self._stack.registry_url) as registry:
            schema_id = registry.register(value_subject(self.name), self._schema)
        frame, plan = b"\x00" + schema_id.to_bytes(4, "big"), compile_plan(self._schema)
        producer = Producer({"bootstrap.servers": self._stack.bootstrap, "linger.ms": 50})
        for number, order in enumerate(nested_orders(self.records)):
            producer.produce(self.name, plan.encode(order, frame), order["order_id"], number % PARTITIONS)
            producer.poll(0)
        producer.flush()

    def by_dicts(self) -> Batches:
        consumer = Consumer({"bootstrap.servers": self._stack.bootstrap, "group.id": self.name})
        consumer.assign([TopicPartition(self.name, number, 0) for number in range(PARTITIONS)])
        left = self.records
        while left:
            values = [message.value() for message in consumer.consume(BATCH, 1.0)]
            left -= len(values)
            dicts = [self._dict(value) for value in values if value is not None]
            yield pyarrow.RecordBatch.from_pylist(dicts, self._arrow)
        consumer.close()

    def _dict(self, value: bytes) -> Any:
        return fastavro.schemaless_reader(BytesIO(memoryview(value)[FRAME_BYTES:]), self._parsed, None)

    def by_columns(self) -> Batches:
        yield from asyncio.run(self._columns())

    async def _columns(self) -> list[Any]:
        async with Subscriber(self._stack.bootstrap, registry=self._stack.registry_url) as subscriber:
            return [pyarrow.record_batch(read) async for read in subscriber.read_columns(self.name, batch=BATCH)]


def rows(batches: Batches) -> list[Any]:
    return sorted((row for batch in batches for row in batch.to_pylist()), key=lambda row: str(row["order_id"]))


def measured(topic: Topic, read: Callable[[], Batches]) -> tuple[float, float]:
    """Records a second, and microseconds of CPU for a record."""
    start, cpu = time.perf_counter(), time.process_time()
    count = sum(batch.num_rows for batch in read())
    assert count == topic.records
    return count / (time.perf_counter() - start), (time.process_time() - cpu) / count * 1e6


def compare(topic: Topic, rounds: int) -> None:
    contestants = {"fastavro dicts, then pyarrow": topic.by_dicts, "Subscriber.read_columns": topic.by_columns}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, read in contestants.items():
            took[name].append(measured(topic, read))
    medians = {name: [statistics.median(figures) for figures in zip(*runs, strict=True)] for name, runs in took.items()}
    for name, (rate, cpu_us) in medians.items():
        print(f"  {name:30} {rate:10,.0f} records/s  {cpu_us:6.2f} us of CPU", flush=True)  # noqa: T201
    (slow, dear), (fast, cheap) = medians.values()
    print(f"  {fast / slow:.1f} times the rate, {dear / cheap:.1f} times less CPU")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running:
        topic = Topic(running.stack, options.records)
        topic.fill()
        assert rows(topic.by_columns()) == rows(topic.by_dicts())
        print(f"{options.records:,} nested orders, {options.rounds} rounds", flush=True)  # noqa: T201
        compare(topic, options.rounds)


if __name__ == "__main__":
    main()
