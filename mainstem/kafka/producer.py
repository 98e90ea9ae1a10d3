"""An idempotent producer for asyncio: whole lists in, one wake-up of the loop for whatever became durable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Producer

from mainstem.errors import KAFKA_UNREACHABLE, MainstemError, Unreachable
from mainstem.kafka.failure import failure
from mainstem.kafka.record import Record

DEFAULTS: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 5,  # long enough to batch what comes at the same time, short beside a network round trip
    "partitioner": "murmur2_random",  # as Kafka's Java clients, so that topics of both can be joined
    "compression.type": "lz4",
    "message.timeout.ms": 10_000,  # a caller that waits for durability is told within this
    "sticky.partitioning.linger.ms": 0,
}
POLL_S = 0.1
QUEUE_FULL_WAIT_S = 0.005


class _Delivery:
    """How many records of one `send` are not durable yet. Touched by the poll thread only, once produced."""

    __slots__ = ("done", "error", "future", "left")

    def __init__(self, count: int, future: asyncio.Future[None], done: list[_Delivery]) -> None:
        self.left = count
        self.future = future
        self.error: KafkaError | None = None
        self.done = done

    def __call__(self, error: KafkaError | None, _message: object) -> None:
        self.left -= 1
        if error is not None:
            self.error = error
        if self.left == 0:
            self.done.append(self)


class DurableProducer:
    """Sends records and returns when all of them are durable (`acks=all`, idempotent). Use as a context manager."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = {**DEFAULTS, **config}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._done: list[_Delivery] = []
        self._stopped = threading.Event()
        self._producer = Producer(self._config)
        self._thread = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        await asyncio.to_thread(self._thread.join)

    async def send(self, records: Sequence[Record]) -> None:
        """Returns when every record is durable.

        Raises Unreachable when Kafka does not confirm in time (the records may still become durable later), Rejected
        when one is too large, Misconfigured when a topic is missing or forbidden.
        """
        if not records:
            return
        delivery = _Delivery(len(records), self._loop.create_future(), self._done)
        for sent, record in enumerate(records):
            try:
                while not self._produce(record, delivery):
                    await self._room()
            except MainstemError:
                delivery.left -= len(records) - sent  # nobody waits for the ones that were never produced
                raise
        await delivery.future
        if delivery.error is not None:
            raise failure(delivery.error, f"writing {records[0].topic}")

    def _produce(self, record: Record, delivery: _Delivery) -> bool:
        """False when the client's queue is full."""
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                record.partition,
                on_delivery=delivery,
                headers=list(record.headers),
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise failure(error, f"writing {record.topic}") from None
        return True

    async def _room(self) -> None:
        await asyncio.sleep(QUEUE_FULL_WAIT_S)
        if self._stopped.is_set():
            raise Unreachable("the producer is closed", code=KAFKA_UNREACHABLE)

    def _poll(self) -> None:
        # What is still queued when the producer is closed is delivered or timed out by message.timeout.ms.
        while not self._stopped.is_set() or len(self._producer):
            self._producer.poll(POLL_S)
            if self._done:
                done, self._done[:] = self._done[:], ()
                self._loop.call_soon_threadsafe(_settle, done)


def _settle(done: list[_Delivery]) -> None:
    for delivery in done:
        if not delivery.future.done():
            delivery.future.set_result(None)
