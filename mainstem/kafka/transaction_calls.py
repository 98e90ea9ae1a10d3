"""The calls of one instance of the library's transactional producer, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from mainstem.event import Partition
from mainstem.kafka.failure import TAKEN_OVER
from mainstem.kafka.position import note_of
from mainstem.kafka.produce_batch import FULL_S, produce_batch
from mainstem.kafka.producer import DEFAULTS
from mainstem.kafka.record import Record
from mainstem.kafka.transaction_state import Call, Told

TRANSACTION_TIMEOUT_MS: Final = 10_000
"""After so long Kafka aborts a transaction; a killed producer's holds readers up until then."""
RETRY_BACKOFF_MS: Final = 300
"""What `transaction_run.LATE_S` rests on."""

_PURGED = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}


class Failed(Exception):
    """A call that did not succeed: what that means, and the library's own words."""

    def __init__(self, call: Call, told: Told, error: KafkaError) -> None:
        super().__init__(call, told, error)
        self.call = call
        self.told = told
        self.error = error


def settings(config: Mapping[str, Any], transactional_id: str) -> dict[str, Any]:
    """What the library is given; `transaction.timeout.ms` may be among `config`, from 1000 on."""
    timeout_ms = int(config.get("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS))
    return {
        **DEFAULTS,
        **config,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        "message.timeout.ms": timeout_ms - timeout_ms // 10,
        "retry.backoff.ms": RETRY_BACKOFF_MS,
        "delivery.report.only.error": True,
    }


def told(error: KafkaError, call: Call) -> Told:
    """What kind of error it is. One without any flag is as good as fatal, says librdkafka's INTRODUCTION.md; but those
    of single records have none, and refuse the transaction."""
    if error.code() in TAKEN_OVER:
        return Told.FENCED
    if error.fatal():
        return Told.FATAL
    if error.txn_requires_abort() or call is Call.WRITE:
        return Told.ABORTABLE
    return Told.RETRIABLE if error.retriable() else Told.FATAL


class Instance:
    """One producer of the library, used by one thread.

    A call blocks for about as long as it is told to, returns when it is done, and raises Failed.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._refused: list[KafkaError] = []
        self._producer = Producer({**config, "on_delivery": self._refuse})

    def claim(self, within_s: float) -> None:
        """Fences whoever had the transactional id before, and settles what that one left open."""
        self._make(Call.CLAIM, lambda: self._producer.init_transactions(within_s))

    def begin(self, _within_s: float) -> None:
        self._refused.clear()
        self._make(Call.BEGIN, self._producer.begin_transaction)

    def write(self, records: Sequence[Record]) -> None:
        """Hands them to the library. Not to be repeated."""
        self._make(Call.WRITE, lambda: self._produce(records))

    def flush(self, within_s: float) -> None:
        """Done when all that was handed over is in Kafka's log, unseen."""
        self._make(Call.FLUSH, lambda: self._producer.flush(within_s))
        if self._refused:
            self._explain()
        if len(self._producer):
            raise Failed(Call.FLUSH, Told.RETRIABLE, KafkaError(KafkaError._TIMED_OUT))

    def offsets(self, offsets: Mapping[Partition, int], group: Any, within_s: float) -> None:
        """To be given all the time there is: when that is over the transaction has failed."""
        positions = [TopicPartition(*p, offset, note_of(offset)) for p, offset in offsets.items()]
        self._make(Call.OFFSETS, lambda: self._producer.send_offsets_to_transaction(positions, group, within_s))

    def commit(self, within_s: float) -> None:
        self._make(Call.COMMIT, lambda: self._producer.commit_transaction(within_s))

    def abort(self, within_s: float) -> None:
        self._make(Call.ABORT, lambda: self._producer.abort_transaction(within_s))

    def close(self) -> None:
        """Ends it, whatever it is doing; nothing is delivered any more."""
        # By its last reference: its own close() waits for a flush, and fails where a fatal error is on its way.
        del self._producer

    def _produce(self, records: Sequence[Record]) -> None:
        if produce_batch(self._producer, records):
            return
        produce = self._producer.produce
        for topic, key, value, headers, partition in records:
            while True:
                try:
                    produce(topic, value, key, partition, headers=list(headers) if headers else None)
                except BufferError:
                    self._producer.poll(FULL_S)
                else:
                    break

    def _refuse(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._refused.append(error)

    def _explain(self) -> None:
        """Raises a record's own error, which says most; where the library took all back, the transaction's."""
        reasons = [error for error in self._refused if error.code() not in _PURGED]
        if not reasons:  # a transaction with failed records cannot be committed: the library says why, and asks nobody
            self._make(Call.FLUSH, lambda: self._producer.commit_transaction(FULL_S))
        raise Failed(Call.FLUSH, Told.ABORTABLE, (reasons or self._refused)[0])

    def _make(self, call: Call, ask: Callable[[], object]) -> None:
        try:
            ask()
        except (KafkaException, SystemError) as raised:
            error = _error_of(raised) or self._standing()
            failed = Failed(call, told(error, call), error)
        else:
            return
        raise failed  # without the exception's frames, which would keep the producer alive

    def _standing(self) -> KafkaError:
        """What is wrong with the producer, where a call has failed without saying so. Beginning within a transaction is
        refused in any case, and changes nothing: with the fatal error, if there is one."""
        try:
            self._producer.begin_transaction()
        except KafkaException as said:
            error: KafkaError = said.args[0]
            return error
        return KafkaError(KafkaError._FAIL)


def _error_of(raised: KafkaException | SystemError) -> KafkaError | None:
    """The library's error. Where a fatal one comes with records that failed, the binding calls back for these with the
    fatal one pending, which Python takes for a fault of the binding: it names the fatal one as its cause, or nothing.
    """
    said = raised.__cause__ if isinstance(raised, SystemError) else raised
    if not isinstance(said, KafkaException):
        return None
    error: KafkaError = said.args[0]
    return error
