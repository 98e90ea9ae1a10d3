"""Faust's producer: what an event causes goes into the worker's transaction, everything else is durable at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as Client
from faust.streams import current_event
from faust.transport import base
from faust.transport.producer import ProducerBuffer
from faust.types import TP
from faust.types.tuples import RecordMetadata

from mainstem.kafka.produce_batch import produce_batch
from mainstem.kafka.transaction_calls import Failed
from mainstem.process.librdkafka.clients import plain_producer, transactional_producer
from mainstem.process.librdkafka.handed import HANDED, NOWHERE, Sent
from mainstem.process.librdkafka.transaction import ProducerFailed, Transactions

FULL_S = 0.01
FLUSH_S = 30.0
SERVE_EVERY = 256


def _parts(
    partition: int | None, timestamp_s: float | None, headers: Any
) -> tuple[int, list[tuple[str, bytes]], dict[str, Any]]:
    """A record's partition, headers, and what else is said of it, as librdkafka wants them."""
    listed = list(headers.items()) if isinstance(headers, Mapping) else list(headers or ())
    return -1 if partition is None else partition, listed, {"timestamp": int(timestamp_s * 1000)} if timestamp_s else {}


class Unbuffered(ProducerBuffer):
    """Faust asks before each event whether its buffer is full. Nothing is ever in it here."""

    async def wait_until_ebb(self) -> None: ...


class Producer(base.Producer):
    """See the module."""

    allow_headers = True
    transactions: Transactions | None = None
    is_at_hand = False
    """A worker's, that has started: `hand_over` may be called."""
    _client: Any = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.buffer = Unbuffered(loop=self.loop, beacon=self.beacon)
        self.buffer.app = self.app

    async def on_start(self) -> None:
        await super().on_start()
        options = cast(Any, self.app).engine
        bootstrap = cast(Any, self.transport).bootstrap
        if self.app.in_worker and (refusal := await self._refusal()) is not None:
            options.ends(refusal)
        self._sent = 0
        self._refused: KafkaError | None = None
        settings = plain_producer(bootstrap, options, reports=not self.app.in_worker)
        self._client = Client({**settings, "on_delivery": self._refuse})
        if self.app.in_transaction:
            identity = f"{self.app.conf.id}-{options.member}"
            self.transactions = Transactions(transactional_producer(bootstrap, identity, options))
            try:
                await self.transactions.start()
            except Failed as failed:
                options.ends(f"{identity} was not claimed: {failed.error.str()}")
        self.is_at_hand = self.app.in_worker

    async def _refusal(self) -> str | None:
        """Asked first, for without a login all else only fails some time later, and does not say why."""
        ask: Callable[[], str | None] = cast(Any, self.transport).admin.refusal
        return await asyncio.get_running_loop().run_in_executor(None, ask)

    async def on_stop(self) -> None:
        self.is_at_hand = False
        if self._client is not None:  # a command may stop it without having started it
            await self.flush()
        if self.transactions is not None:
            await self.transactions.stop()
        await super().on_stop()

    def write(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int = -1,
        headers: Iterable[tuple[str, bytes]] | None = None,
        **more: Any,
    ) -> None:
        """Hands over a record that an event has caused. `timestamp` (milliseconds) may be among `more`.

        Raises ProducerFailed.
        """
        if headers:
            more["headers"] = list(headers)
        self._sent += 1
        if self.transactions is not None:
            self.transactions.write(topic, value, key, partition, **more)
            if not self._sent % SERVE_EVERY:
                self.transactions.serve()
            return
        self._write_plain(topic, key, value, partition, more)

    def write_all(self, records: Sequence[Any]) -> None:
        """Many at once: topic, key, value, headers and partition of each. Raises ProducerFailed."""
        self._sent += len(records)
        if self.transactions is not None:
            self.transactions.write_all(records)
            self.transactions.serve()
            return
        if self._wrote_at_once(records):
            return
        for topic, key, value, headers, partition in records:
            self._write_plain(topic, key, value, partition, {"headers": list(headers)} if headers else {})
        self._client.poll(0)

    def _wrote_at_once(self, records: Sequence[Any]) -> bool:
        try:
            is_done = produce_batch(self._client, records)
        except KafkaException as error:
            raise ProducerFailed(f"what was made could not be written: {error}") from error
        self._client.poll(0)
        return is_done

    def _write_plain(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int, more: dict[str, Any]
    ) -> None:
        while True:
            try:
                self._client.produce(topic, value, key, partition, **more)
            except BufferError:
                self._client.poll(FULL_S)
            except KafkaException as error:
                raise ProducerFailed(f"{topic} could not be written: {error}") from error
            else:
                break
        if not self._sent % SERVE_EVERY:
            self._client.poll(0)

    async def send(  # noqa: PLR0913 - Faust's signature
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """What is sent outside of an event (by a timer, the web, a command) is no part of any transaction."""
        if self.app.in_worker:
            self.hand_over(topic, key, value, partition, timestamp, headers)
            return HANDED
        number, listed, more = _parts(partition, timestamp, headers)
        sent = Sent(self.flush, self._refuse)
        self._write_plain(topic, key, value, number, {**more, "headers": listed, "on_delivery": sent.report})
        return sent

    def hand_over(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
    ) -> None:
        """Into the transaction, if an event has caused it. Raises ProducerFailed."""
        number, listed, more = _parts(partition, timestamp, headers)
        if self.transactions is not None and current_event() is None:
            self._write_plain(topic, key, value, number, {**more, "headers": listed})
            self._client.poll(0)
        else:
            self.write(topic, key, value, number, listed, **more)

    async def send_and_wait(  # noqa: PLR0913 - Faust's signature
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> RecordMetadata:
        """Within a transaction it waits for nothing: the record is durable when the event is."""
        await self.send(topic, key, value, partition, timestamp, headers)
        if self.transactions is None or current_event() is None:
            await self.flush()
        return NOWHERE

    def send_soon(self, fut: Any) -> None:
        """Faust would put it into a buffer which it may leave unsent when it stops."""
        message = fut.message
        topic = message.channel.get_topic_name()
        self.hand_over(topic, message.key, message.value, message.partition, message.timestamp, message.headers)
        fut.set_result(NOWHERE)
        if message.callback is not None and isawaitable(told := message.callback(fut)):
            asyncio.ensure_future(told)  # noqa: RUF006 - Faust awaits it nowhere either

    async def flush(self) -> None:
        """Waits for what is outside of transactions. Raises ProducerFailed when some of it was refused, or is not
        confirmed in time."""
        # By its return value: others may go on producing meanwhile.
        if len(self._client) and await asyncio.get_running_loop().run_in_executor(None, self._client.flush, FLUSH_S):
            raise ProducerFailed("Kafka does not confirm what was written")
        if self._refused is not None:
            raise ProducerFailed(f"a record was refused: {self._refused.str()}")

    async def ends(self, partitions: Sequence[TP]) -> Mapping[TP, int]:
        """Where they end, with what is not committed yet. Those that give no answer in time are left out."""
        if not partitions:
            return {}
        try:
            ask: Callable[[Sequence[TP]], dict[TP, int]] = cast(Any, self.transport).admin.ends
            return await asyncio.get_running_loop().run_in_executor(None, ask, partitions)
        except (KafkaException, TimeoutError):
            return {}

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        await cast(Any, self.transport).admin.create(topic, partitions, replication, **options)

    def key_partition(self, topic: str, key: bytes) -> TP:
        return TP(topic, cast(Any, self.transport).admin.partition_of(topic, key))

    def supports_headers(self) -> bool:
        return True

    def _refuse(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._refused = error
