"""What is made of a call of the library that fails without saying why."""

from __future__ import annotations

from typing import NoReturn

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from mainstem.kafka.transaction_calls import Failed, Instance
from mainstem.kafka.transaction_state import Told


class SilentProducer(Producer):
    """Its flush fails as the binding's does at times with a fatal error on its way: without an exception of its own."""

    standing = KafkaError(KafkaError._STATE)

    def flush(self, _timeout: float = -1) -> NoReturn:
        raise SystemError("returned NULL without setting an exception")

    def begin_transaction(self) -> NoReturn:
        raise KafkaException(self.standing)


@pytest.mark.parametrize(
    ("standing", "told"),
    [
        (KafkaError(KafkaError._FENCED, "fenced", True), Told.FENCED),
        (KafkaError(KafkaError._FATAL, "fatal", True), Told.FATAL),
        (KafkaError(KafkaError._STATE), Told.FATAL),
    ],
)
def test_a_failure_without_a_reason_means_what_is_wrong_with_the_producer(
    monkeypatch: pytest.MonkeyPatch, standing: KafkaError, told: Told
) -> None:
    monkeypatch.setattr("mainstem.kafka.transaction_calls.Producer", SilentProducer)
    monkeypatch.setattr(SilentProducer, "standing", standing)
    with pytest.raises(Failed) as failed:
        Instance({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}).flush(0.1)
    assert (failed.value.told, failed.value.error.code()) == (told, standing.code())
