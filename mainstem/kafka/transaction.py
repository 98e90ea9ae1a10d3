"""A transactional producer: a list of records, and optionally consumed offsets, become visible together or not at all.

What to do about each failure is in the words of KIP-98 and librdkafka's INTRODUCTION.md ("Transactional producer"):
retriable - the same call again within a deadline; abortable - abort, the caller may try the same work again; fenced -
another producer has the transactional id: leave; fatal or unknown - this instance is not to be used again, a new one
with the same id bumps the epoch, which settles whatever the old one left open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from mainstem.errors import KAFKA_UNREACHABLE, Fenced, Unreachable
from mainstem.event import Partition
from mainstem.kafka.failure import failure
from mainstem.kafka.producer import DEFAULTS
from mainstem.kafka.record import Record

TRANSACTION_TIMEOUT_MS = 10_000
DEADLINE_S = 30.0
INIT_S = 10.0
"""Nothing is under way yet, so whoever takes over may as well try again; and a stop waits for it."""


class TransactionalProducer:
    """One owner of one `transactional.id`. All calls run in its own thread, in order. Use as a context manager.

    Entering fences whoever used the id before and settles what it left open: read positions after that, not before.
    """

    def __init__(self, config: Mapping[str, Any], transactional_id: str) -> None:
        self._config = {
            **DEFAULTS,
            **config,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
            "message.timeout.ms": TRANSACTION_TIMEOUT_MS - 1000,
        }
        self._id = transactional_id
        self._producer: Producer | None = None

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"txn-{self._id}")
        await self._run(self._initialise)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._producer = None
        self._thread.shutdown(wait=False)

    async def commit(
        self, records: Sequence[Record], offsets: Mapping[Partition, int] | None = None, group: Any = None
    ) -> None:
        """One transaction. `offsets` are the next offsets to read, committed for the consumer group's metadata `group`.

        Raises Fenced (leave), or Unreachable: the outcome is unknown or nothing was written; the producer has been
        replaced, so whoever calls again must first read its position anew.
        """
        await self._run(lambda: self._commit(records, offsets, group))

    async def _run(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _initialise(self) -> None:
        producer = Producer(self._config)
        try:
            _again(lambda: producer.init_transactions(INIT_S), within_s=INIT_S)
        except KafkaException as error:
            raise failure(error, f"taking over the transactional id {self._id}") from None
        self._producer = producer

    def _commit(self, records: Sequence[Record], offsets: Mapping[Partition, int] | None, group: Any) -> None:
        if self._producer is None:
            self._initialise()
        producer = self._producer
        assert producer is not None  # noqa: S101 - set by _initialise
        try:
            producer.begin_transaction()
            _produce(producer, records)
            if offsets is not None:
                positions = [TopicPartition(p.topic, p.number, offset) for p, offset in offsets.items()]
                _again(lambda: producer.send_offsets_to_transaction(positions, group, DEADLINE_S))
            _again(lambda: producer.commit_transaction(DEADLINE_S))
        except KafkaException as error:
            self._give_up(producer, error)

    def _give_up(self, producer: Producer, error: KafkaException) -> None:
        said = failure(error, f"committing as {self._id}")
        if isinstance(said, Fenced):
            self._producer = None
            raise said from None
        if error.args[0].txn_requires_abort():
            with suppress(KafkaException):
                producer.abort_transaction(DEADLINE_S)
                raise Unreachable(said.cause, code=KAFKA_UNREACHABLE) from None
        self._producer = None  # a delayed commit could otherwise hit the next transaction
        raise Unreachable(said.cause, code=KAFKA_UNREACHABLE) from None


def _produce(producer: Producer, records: Sequence[Record]) -> None:
    for record in records:
        while True:
            try:
                producer.produce(record.topic, record.value, record.key, record.partition, headers=list(record.headers))
            except BufferError:
                producer.poll(0.05)
            else:
                break
    producer.poll(0)


def _again(call: Callable[[], None], *, within_s: float = DEADLINE_S) -> None:
    """Makes a retriable call until it succeeds or the deadline has passed."""
    deadline = monotonic() + within_s
    while True:
        try:
            call()
        except KafkaException as error:
            told: KafkaError = error.args[0]
            if not told.retriable() or monotonic() > deadline:
                raise
        else:
            return
