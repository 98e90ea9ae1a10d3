"""How far a consumer group is behind, asked again and again for as long as a process runs.

Not through the admin client: asking it about a group while its connection breaks can abort the whole process
(https://github.com/confluentinc/librdkafka/issues/4605). A consumer that joins nothing asks the same questions safely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple, Self

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from mainstem.event import Partition
from mainstem.kafka.failure import failure
from mainstem.kafka.reader import partition_of

ANSWER_S = 2.0
"""How long each question may take: a process that stops waits for it."""

LOOKING: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",  # an offset that is gone is no end that was reached
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 100,
    # One record tells that there is one: no more is fetched than can be helped.
    "queued.max.messages.kbytes": 1_024,
    "fetch.max.bytes": 1 << 20,
    "max.partition.fetch.bytes": 64 << 10,
}


class _Standing(NamedTuple):
    """Where the group goes on in a partition, and the offset after the last one that a reader may see."""

    next_offset: int
    end: int


class GroupLag:
    """One group's lag on some topics. Calls block: make them from a worker thread. Use as a context manager."""

    def __init__(self, config: Mapping[str, Any], group: str, topics: Sequence[str]) -> None:
        self._config = {**config, **LOOKING, "group.id": group}
        self._group = group
        self._topics = topics
        self._before: dict[Partition, _Standing] = {}
        self._looked: dict[Partition, _Standing] = {}
        """Where it was looked whether there is a record at all, with the answer in `_empty`."""
        self._empty: set[Partition] = set()

    def __enter__(self) -> Self:
        self._consumer = Consumer(self._config)
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self) -> dict[Partition, int]:
        """Offsets of each partition that are not done yet.

        Some of them are no records but markers of transactions. What has not moved since the last reading is looked
        into, once: a partition that is read to its last record has a lag of 0, whatever follows that.
        A partition without a committed offset counts as a whole, a topic that does not exist not at all. Raises
        Unreachable when Kafka does not answer.
        """
        try:
            standing = self._standing()
            rests = {p: s for p, s in standing.items() if s.next_offset < s.end and self._before.get(p) == s}
            self._look({p: s for p, s in rests.items() if self._looked.get(p) != s})
        except KafkaException as error:
            raise failure(error, f"asking where {self._group} stands") from None
        self._before = standing
        empty = {p for p in self._empty if self._looked[p] == standing.get(p)}
        return {p: 0 if p in empty else max(0, s.end - s.next_offset) for p, s in standing.items()}

    def _standing(self) -> dict[Partition, _Standing]:
        there = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
        ]
        if not there:
            return {}
        starts, ends = self._offsets(there, OFFSET_BEGINNING), self._offsets(there, OFFSET_END)
        found = {}
        for tp in self._consumer.committed(there, timeout=ANSWER_S):
            partition = Partition(tp.topic, tp.partition)
            found[partition] = _Standing(max(starts[partition], tp.offset), ends[partition])
        return found

    def _offsets(self, partitions: Sequence[TopicPartition], which: int) -> dict[Partition, int]:
        """One question to each broker for all of its partitions. Kafka takes the library's -1 and -2 for the times
        "latest" and "earliest", as the library does when it is asked for one partition's watermarks."""
        asked = [TopicPartition(tp.topic, tp.partition, which) for tp in partitions]
        found = self._consumer.offsets_for_times(asked, timeout=ANSWER_S)
        for tp in found:
            if tp.error is not None:
                raise KafkaException(tp.error)
        return {Partition(tp.topic, tp.partition): int(tp.offset) for tp in found}

    def _look(self, where: Mapping[Partition, _Standing]) -> None:
        """What is not known in time is looked at the next time."""
        found = _look(self._consumer, {partition: standing.next_offset for partition, standing in where.items()})
        for partition, has_record in found.items():
            self._looked[partition] = where[partition]
            (self._empty.discard if has_record else self._empty.add)(partition)


def without_records(config: Mapping[str, Any], offsets: Mapping[Partition, int]) -> set[Partition]:
    """Those of the partitions that have no record from that offset on: only markers of transactions, or nothing.

    One that does not answer in time is not among them. Blocks; raises Unreachable.
    """
    if not offsets:
        return set()
    consumer = Consumer({**config, **LOOKING, "group.id": "mainstem.looking"})
    try:
        return {partition for partition, has_record in _look(consumer, offsets).items() if not has_record}
    except KafkaException as error:
        raise failure(error, "looking for records") from None
    finally:
        consumer.close()


def _look(consumer: Consumer, offsets: Mapping[Partition, int]) -> dict[Partition, bool]:
    """Reads on from there to the first record or the end: whether there is a record. Without what takes too long."""
    if not offsets:
        return {}
    consumer.assign([TopicPartition(*partition, offset) for partition, offset in offsets.items()])
    try:
        found: dict[Partition, bool] = {}
        deadline = monotonic() + ANSWER_S
        while len(found) < len(offsets) and (left_s := deadline - monotonic()) > 0:
            for message in consumer.consume(100, min(left_s, 0.1)):
                partition, error = partition_of(message), message.error()
                if partition in offsets and (error is None or error.code() == KafkaError._PARTITION_EOF):
                    found.setdefault(partition, error is None)
        return found
    finally:
        consumer.unassign()
