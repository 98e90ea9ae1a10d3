from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from mainstem.process.librdkafka.patience import patiently


def test_a_topic_without_a_leader_is_asked_for_again_and_another_error_is_raised() -> None:
    said = [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART]

    def ask() -> str:
        if said:
            raise KafkaException(KafkaError(said.pop()))
        return "answer"

    assert patiently(ask) == "answer"
    said.append(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        patiently(ask)
