"""Asks again while a partition has no leader that answers: just after its topic was made, or while a broker is away."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types import TP

ASK_S = 30.0
WAIT_S = 0.1
PASSING = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.REPLICA_NOT_AVAILABLE,
}

T = TypeVar("T")


def patiently(ask: Callable[[], T]) -> T:
    """What Kafka answers. A topic that was just made has no leader at first, and some brokers do not know it yet.
    Blocks; raises KafkaException when that goes on, and for any other error."""
    deadline = monotonic() + ASK_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in PASSING or monotonic() > deadline:
                raise
            sleep(WAIT_S)


def bounds(client: Consumer, tp: TP) -> tuple[int, int]:
    """The first offset that the partition holds and the one after its last, as a client of this isolation sees it.
    Blocks; raises KafkaException."""
    low, high = patiently(lambda: client.get_watermark_offsets(TopicPartition(*tp), timeout=ASK_S))
    return int(low), int(high)
