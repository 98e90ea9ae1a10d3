"""Transactions on a real broker, behind a proxy that knows Kafka's requests, with timeouts of seconds."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from mainstem.devstack import Stack
from mainstem.event import Partition
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.kafka.transaction import TransactionalProducer
from tests.tcp_proxy import Held, KafkaProxy

TIMEOUT_MS = 2000
DEADLINE_S = 90.0


@dataclass(frozen=True)
class Rig:
    """One topic and one transactional id of its own, and the way to Kafka that can be disturbed."""

    proxy: KafkaProxy
    direct: dict[str, Any]
    topic: str

    def producer(self, *, disturbed: bool = True, timeout_ms: int = TIMEOUT_MS) -> TransactionalProducer:
        servers = self.proxy.address if disturbed else self.direct["bootstrap.servers"]
        config = {"bootstrap.servers": servers, "transaction.timeout.ms": timeout_ms}
        return TransactionalProducer(config, self.topic)

    def batch(self, *values: int) -> list[Record]:
        return [Record(self.topic, str(n).encode(), str(n).encode()) for n in values]

    def committed(self) -> list[int]:
        """What a reader of committed records sees, by value; waits for open transactions to end."""
        partitions = [Partition(self.topic, number) for number in range(2)]
        ends = Admin(self.direct).ends(partitions)
        with reading(self.direct) as reader:
            read = reader.read({partition: (0, end) for partition, end in ends.items()})
            return sorted(int(message.value() or b"") for messages in read for message in messages)

    def group_offset(self, partition: Partition) -> int | None:
        consumer = Consumer({**self.direct, "group.id": self.topic})
        try:
            (found,) = consumer.committed([TopicPartition(*partition)], timeout=DEADLINE_S)
        finally:
            consumer.close()
        return found.offset if found.offset >= 0 else None


@contextmanager
def rig_on(stack: Stack) -> Iterator[Rig]:
    direct = {"bootstrap.servers": stack.bootstrap}
    topic = f"test.t{uuid.uuid4().hex}.v1"
    Admin(direct).create([TopicSpec(topic, 2)])
    host, _, port = stack.bootstrap.rpartition(":")
    with KafkaProxy(host, int(port)) as proxy:
        yield Rig(proxy, direct, topic)


async def arrival(held: Held) -> None:
    """Waits until the proxy has what it is to hold back."""
    assert await asyncio.to_thread(held.arrived.wait, DEADLINE_S)


async def until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + DEADLINE_S
    while not holds():
        assert monotonic() < deadline
        await asyncio.sleep(0.02)


def all_or_nothing(seen: Sequence[int], *batches: Sequence[int]) -> bool:
    """Every one of these is there once as a whole, or not at all; and nothing else is."""
    parts = [sorted(set(batch) & set(seen)) for batch in batches]
    whole = all(part in ([], sorted(batch)) for part, batch in zip(parts, batches, strict=True))
    return whole and sorted(seen) == sorted(n for part in parts for n in part)
