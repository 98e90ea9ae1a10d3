"""Which errors among the records end the worker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError

from mainstem.process.librdkafka.fetching import Ahead, FetchThread


def heard(error: KafkaError) -> list[str]:
    """What is said of an error that comes as a record."""
    ends: list[str] = []
    listener = cast(Any, SimpleNamespace(failed=ends.append))
    thread = FetchThread({}, listener, batch=10, ahead=Ahead(10, 1000), earliest=True)
    record = SimpleNamespace(error=lambda: error)
    thread._receive(cast(Any, SimpleNamespace(poll=lambda _: record, consume=lambda *_: [])), 10)
    assert thread.take() is None
    return ends


class Record:
    """Of one partition. Its length is its value's, as in the library."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def error(self) -> None: ...

    def topic(self) -> str:
        return "orders"

    def partition(self) -> int:
        return 0


def fetching(records: int, size: int) -> FetchThread:
    """At most 10 records, or 1,000 bytes, ahead of the agents."""
    listener = cast(Any, SimpleNamespace(arrived=lambda: None))
    thread = FetchThread({}, listener, batch=10, ahead=Ahead(10, 1000), earliest=True)
    thread._loop = cast(Any, SimpleNamespace(call_soon_threadsafe=lambda _: None))
    first, *rest = [Record(size) for _ in range(records)]
    thread._receive(cast(Any, SimpleNamespace(poll=lambda _: first, consume=lambda *_: rest)), records)
    return thread


@pytest.mark.parametrize(("records", "size"), [(10, 1), (2, 500), (1, 5000)])
def test_nothing_is_fetched_while_so_many_records_or_bytes_wait(records: int, size: int) -> None:
    thread = fetching(records, size)
    assert not thread._has_room
    fetched = thread.take()
    assert fetched is not None
    thread.done(fetched)
    assert thread._has_room


def test_a_few_small_records_leave_room() -> None:
    assert fetching(9, 100)._has_room


@pytest.mark.parametrize("code", [KafkaError._FATAL, KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE])
def test_a_consumer_that_cannot_go_on_ends_the_worker(code: int) -> None:
    """A fatal error comes among the records without the flag that it is fatal, when another has the member's name."""
    error = KafkaError(code)
    assert not error.fatal()
    assert len(heard(error)) == 1


def test_a_broker_that_is_away_for_a_moment_ends_nothing() -> None:
    assert heard(KafkaError(KafkaError._TRANSPORT)) == []
