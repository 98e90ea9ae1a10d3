"""Reads ranges of topics without a group: positions, reference data, dead letters, replays."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from mainstem.errors import KAFKA_UNREACHABLE, TOPIC_MISSING, Misconfigured, Unreachable
from mainstem.event import Partition
from mainstem.kafka.failure import PASSING, failure
from mainstem.kafka.patience import patiently

BATCH = 5000
STALL_S = 30.0
POLL_S = 0.2
WAIT_MS = 100
STALLED = "see whether its brokers answer; if so, look for an endless transaction: kafka-transactions.sh find-hanging"
Ranges = Mapping[Partition, tuple[int, int]]
"""Offsets [start, end) by partition."""


@contextmanager
def reading(
    config: Mapping[str, Any], *, isolation: str = "read_committed", wait_ms: int = WAIT_MS
) -> Iterator[Reader]:
    """A reader that commits nothing and belongs to no group. Calls block: use it from a worker thread.

    `wait_ms` is how long a broker may keep an answer back while it has nothing new.
    """
    consumer = Consumer(
        {
            **config,
            "group.id": f"_mainstem.reader.{uuid.uuid4().hex}",  # never joined: the library wants a name
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "fetch.wait.max.ms": wait_ms,
            "fetch.error.backoff.ms": 50,
        }
    )
    try:
        yield Reader(consumer)
    finally:
        consumer.close()


class Reader:
    """See `reading`."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def partitions(self, topic: str) -> list[Partition]:
        """Raises Misconfigured (MS-206) when there is no such topic."""
        try:
            found = self._consumer.list_topics(topic, timeout=10).topics[topic]
        except KafkaException as error:
            raise failure(error, f"looking up {topic}") from None
        if found.error is not None:
            raise Misconfigured(f"there is no topic {topic}", code=TOPIC_MISSING)
        return [Partition(topic, number) for number in sorted(found.partitions)]

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset that is still there and the one after the last committed record."""
        return patiently(lambda: self._bounds(partition), within_s=10)

    def _bounds(self, partition: Partition) -> tuple[int, int]:
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=10)
        except KafkaException as error:
            raise failure(error, f"asking where {partition.topic} ends") from None
        return int(low), int(high)

    def whole(self, topics: Sequence[str]) -> dict[Partition, tuple[int, int]]:
        """Everything that is in these topics now."""
        return {p: self.bounds(p) for topic in topics for p in self.partitions(topic)}

    def since(self, topics: Sequence[str], milliseconds: int) -> dict[Partition, int]:
        """The first offset of each partition whose Kafka timestamp is that late (or its end)."""
        asked = [TopicPartition(p.topic, p.number, milliseconds) for t in topics for p in self.partitions(t)]
        try:
            found = self._consumer.offsets_for_times(asked, timeout=10)
        except KafkaException as error:
            raise failure(error, "looking up offsets by time") from None
        offsets = {Partition(tp.topic, tp.partition): int(tp.offset) for tp in found}
        return {p: o if o >= 0 else self.bounds(p)[1] for p, o in offsets.items()}

    def read(self, ranges: Ranges, *, batch: int = BATCH) -> Iterator[list[Message]]:
        """The records of these ranges, in order within a partition, at most `batch` at a time.

        Ends when every range is read to its end. Raises Unreachable when nothing comes for STALL_S.
        """
        left = {p: end for p, (start, end) in ranges.items() if start < end}
        self._consumer.assign([TopicPartition(p.topic, p.number, ranges[p][0]) for p in left])
        heard = monotonic()
        while left:
            got = self._consumer.consume(batch, POLL_S)
            if got:
                heard = monotonic()
            elif monotonic() - heard > STALL_S:
                raise Unreachable(f"nothing more of {sorted(left)} arrives", code=KAFKA_UNREACHABLE, fix=STALLED)
            records = [message for message in got if self._is_wanted(message, left)]
            if records:
                yield records
            for partition in _finished(got, left):
                del left[partition]
                self._consumer.incremental_unassign([TopicPartition(*partition)])
        self._consumer.unassign()

    def follow(self, starts: Mapping[Partition, int], *, batch: int = BATCH) -> Iterator[list[Message]]:
        """All from these offsets on, and what comes later, without an end; an empty list where nothing came for
        POLL_S. A partition that is shorter by now, because its topic was made anew, is read from its beginning."""
        self._consumer.assign([TopicPartition(*partition, start) for partition, start in starts.items()])
        try:
            while True:
                yield [message for message in self._consumer.consume(batch, POLL_S) if self._is_record(message)]
        finally:
            self._consumer.unassign()

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF or error.retriable() or error.code() in PASSING:
            return False
        raise failure(error, f"reading {message.topic()}")

    def _is_wanted(self, message: Message, left: Mapping[Partition, int]) -> bool:
        if not self._is_record(message):
            return False
        end = left.get(partition_of(message))
        return end is not None and offset_of(message) < end


def partition_of(message: Message) -> Partition:
    """The partition that a consumed message came from."""
    return Partition(str(message.topic()), message.partition() or 0)


def offset_of(message: Message) -> int:
    """The message's offset; for an error that concerns no offset, one before them all."""
    offset = message.offset()
    return -1 if offset is None else offset


def _finished(got: Sequence[Message], left: Mapping[Partition, int]) -> set[Partition]:
    """Partitions read to their end: by the last record, the one after it, or the end of the log where a range ends in
    transaction markers, which are never handed out."""
    finished = set()
    for message in got:
        partition = partition_of(message)
        end = left.get(partition)
        if end is None:
            continue
        error = message.error()
        if error is None:
            reached = offset_of(message) >= end - 1
        else:
            reached = error.code() == KafkaError._PARTITION_EOF and offset_of(message) >= end
        if reached:
            finished.add(partition)
    return finished
