"""Which errors among the records end the worker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError

from mainstem.process.librdkafka.fetching import FetchThread


def heard(error: KafkaError) -> list[str]:
    """What is said of an error that comes as a record."""
    ends: list[str] = []
    listener = cast(Any, SimpleNamespace(failed=ends.append))
    thread = FetchThread({}, listener, batch=10, ahead=10, earliest=True)
    record = SimpleNamespace(error=lambda: error)
    thread._receive(cast(Any, SimpleNamespace(poll=lambda _: record, consume=lambda *_: [])), 10)
    assert thread.take() is None
    return ends


@pytest.mark.parametrize("code", [KafkaError._FATAL, KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE])
def test_a_consumer_that_cannot_go_on_ends_the_worker(code: int) -> None:
    """A fatal error comes among the records without the flag that it is fatal, when another has the member's name."""
    error = KafkaError(code)
    assert not error.fatal()
    assert len(heard(error)) == 1


def test_a_broker_that_is_away_for_a_moment_ends_nothing() -> None:
    assert heard(KafkaError(KafkaError._TRANSPORT)) == []
