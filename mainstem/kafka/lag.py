"""How far a consumer group is behind, asked again and again for as long as a process runs.

Not through the admin client: asking it about a group while its connection breaks can abort the whole process
(https://github.com/confluentinc/librdkafka/issues/4605). A consumer that joins nothing asks the same questions safely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from mainstem.event import Partition
from mainstem.kafka.failure import failure

ANSWER_S = 2.0
"""How long each question may take: a process that stops waits for it."""


class GroupLag:
    """One group's lag on some topics. Calls block: make them from a worker thread. Use as a context manager."""

    def __init__(self, config: Mapping[str, Any], group: str, topics: Sequence[str]) -> None:
        self._config = {**config, "group.id": group, "enable.auto.commit": False}
        self._group = group
        self._topics = topics

    def __enter__(self) -> Self:
        self._consumer = Consumer(self._config)
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self) -> dict[Partition, int]:
        """Records of each partition that are not done yet, markers of transactions counted too.

        A partition without a committed offset counts as a whole, a topic that does not exist not at all. Raises
        Unreachable when Kafka does not answer.
        """
        try:
            return self._read()
        except KafkaException as error:
            raise failure(error, f"asking where {self._group} stands") from None

    def _read(self) -> dict[Partition, int]:
        there = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
        ]
        lag = {}
        for tp in self._consumer.committed(there, timeout=ANSWER_S) if there else ():
            low, high = self._consumer.get_watermark_offsets(TopicPartition(tp.topic, tp.partition), timeout=ANSWER_S)
            lag[Partition(tp.topic, tp.partition)] = high - max(low, tp.offset)
        return lag
