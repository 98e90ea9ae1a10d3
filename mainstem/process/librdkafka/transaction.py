"""The one transactional producer of a worker: records are handed over by the loop, all else is done in its thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from confluent_kafka import KafkaException
from faust.types import TP

from mainstem.kafka.transaction_calls import Failed, Instance
from mainstem.kafka.transaction_run import Ask, Patience, perform
from mainstem.kafka.transaction_state import OPENED, Call, Outcome, Standing, State
from mainstem.process.librdkafka.epoch import Told

FULL_S = 0.01
UNANSWERED = 2.5
"""So many times the transaction's own time, which the calls before an abort have, and the abort has again."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class ProducerFailed(Exception):
    """The producer did not take a record, which is not the event's fault: the transaction has to be aborted."""


class Writer(Instance):
    """An instance of the library's producer that is written to record by record, between begin and flush."""

    def produce(self, topic: str, value: bytes | None, key: bytes | None, partition: int, **more: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, **more)
            except BufferError:
                self._producer.poll(FULL_S)
            else:
                return

    def serve(self) -> None:
        """Lets it call back."""
        self._producer.poll(0)


class Transactions:
    """Begins a transaction with the first record; one at a time. `mainstem.kafka.transaction_state` decides what a
    failure means."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        self._patience = Patience(self._settings["transaction.timeout.ms"] / 1000)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="librdkafka-transaction")
        self._is_open = False
        self._writer: Writer | None = None

    async def start(self) -> None:
        """Claims the id: fences whoever had it before, and settles what that one left open. Raises Failed."""
        await self._run(self._claim)

    async def stop(self) -> None:
        self._patience.left.set()
        self._thread.shutdown(wait=False)

    @property
    def is_open(self) -> bool:
        """Something was written that is not committed."""
        return self._is_open

    def write(self, topic: str, value: bytes | None, key: bytes | None, partition: int, **more: Any) -> None:
        """Raises ProducerFailed. The loop's only call on the producer."""
        writer = self._writer
        if writer is None:
            raise ProducerFailed("there is no producer")
        try:
            if not self._is_open:
                writer.begin(0)
                self._is_open = True
            writer.produce(topic, value, key, partition, **more)
        except (KafkaException, Failed) as error:
            raise ProducerFailed(f"{topic} could not be written: {error}") from error

    def write_all(self, records: Sequence[Any]) -> None:
        """Many at once; see Producer. Raises ProducerFailed."""
        writer = self._writer
        if writer is None:
            raise ProducerFailed("there is no producer")
        if not records:
            return
        try:
            if not self._is_open:
                writer.begin(0)
                self._is_open = True
            writer.write(records)
        except Failed as failed:
            raise ProducerFailed(f"what was made could not be written: {failed.error.str()}") from failed

    def serve(self) -> None:
        if self._writer is not None:
            self._writer.serve()

    async def commit(self, offsets: Mapping[TP, int], group: Any) -> Told:
        """All that was written, and the offsets, together."""
        return await self._answered(lambda: self._commit(offsets, group))

    async def abort(self) -> Told:
        """REFUSED (as it should be) or LEAVE."""
        if not self._is_open:
            return Told.REFUSED
        return await self._answered(self._abort)

    async def _answered(self, work: Callable[[], Told]) -> Told:
        """LEAVE where nothing is heard any more: the library may keep `send_offsets_to_transaction` for ever, past the
        time that it is given, when the coordinator was away meanwhile. By then Kafka has aborted the transaction."""
        try:
            async with asyncio.timeout(UNANSWERED * self._patience.seconds):
                return await self._run(work)
        except TimeoutError:
            log.warning("transaction: no call has come back")
            return Told.LEAVE

    def _commit(self, offsets: Mapping[TP, int], group: Any) -> Told:
        writer = cast(Writer, self._writer)
        standing, failed = perform(OPENED, self._calls(writer, offsets, group), writer.abort, self._patience)
        self._is_open = False
        return self._settled(standing, failed)

    def _abort(self) -> Told:
        writer = cast(Writer, self._writer)
        standing, failed = perform(OPENED, [(Call.ABORT, writer.abort)], writer.abort, self._patience)
        self._is_open = False
        return self._settled(standing, failed)

    def _calls(self, writer: Writer, offsets: Mapping[TP, int], group: Any) -> Iterator[tuple[Call, Ask]]:
        if not self._is_open:
            yield Call.BEGIN, writer.begin
        yield Call.FLUSH, writer.flush
        if offsets:
            places = cast(Any, offsets)
            yield Call.OFFSETS, lambda _: writer.offsets(places, group, self._patience.seconds)
        yield Call.COMMIT, writer.commit

    def _settled(self, standing: Standing, failed: Failed | None) -> Told:
        if failed is not None:
            log.warning("transaction: %s: %s; %s", failed.call, failed.error.str(), standing.outcome)
        if standing.state is State.FENCED or standing.outcome is Outcome.UNKNOWN:
            return Told.LEAVE
        if standing.state is State.SPENT:
            try:
                self._claim()
            except Failed as error:
                log.warning("transaction: %s: %s", error.call, error.error.str())
                return Told.LEAVE
        return Told.COMMITTED if standing.outcome is Outcome.COMMITTED else Told.REFUSED

    def _claim(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
        writer = Writer(self._settings)
        _, failed = perform(Standing(), [(Call.CLAIM, writer.claim)], writer.abort, self._patience)
        if failed is not None:
            raise failed
        self._writer = writer

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
