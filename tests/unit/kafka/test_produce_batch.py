"""Batches to the library's own producer, of which no broker hears."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from mainstem.kafka.produce_batch import produce_batch
from mainstem.kafka.record import Record

Kept = tuple[str | None, bytes | None, bytes | None]


class World:
    """A producer, and what it has reported of the records that it was given."""

    def __init__(self, **limits: Any) -> None:
        self._reported: list[Kept] = []
        config = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0, "linger.ms": 60_000, **limits}
        self.producer = Producer({**config, "on_delivery": self._report})

    def _report(self, error: KafkaError | None, message: Message) -> None:
        assert error is not None
        assert error.code() == KafkaError._PURGE_QUEUE
        self._reported.append((message.topic(), message.key(), message.value()))

    def drained(self) -> Sequence[Kept]:
        """What it held, and what it has reported: it is thrown away."""
        self.producer.purge()
        self.producer.poll(0)
        found, self._reported = self._reported, []
        return found


def records(count: int, size: int = 3) -> list[Record]:
    return [Record("out", b"%d" % number, bytes(size)) for number in range(count)]


def kept(sent: Sequence[Record]) -> list[Kept]:
    return [(record.topic, record.key, record.value) for record in sent]


def test_a_batch_is_handed_over_in_its_order_and_reported_to_whom_all_are() -> None:
    world = World()
    sent = [Record("out", None, b"v"), Record("out", b"k", None), Record("out", b"", b""), *records(3)]
    assert produce_batch(world.producer, sent)
    assert world.drained() == kept(sent)


@pytest.mark.parametrize(
    "other",
    [Record("another", b"k", b"v"), Record("out", b"k", b"v", [("h", b"1")]), Record("out", b"k", b"v", (), 0)],
)
def test_nothing_of_a_batch_is_handed_over_whose_records_are_not_alike(other: Record) -> None:
    world = World()
    assert not produce_batch(world.producer, [*records(2), other])
    assert not produce_batch(world.producer, [])
    assert world.drained() == []


@pytest.mark.parametrize("limit", [{"queue.buffering.max.messages": 10}, {"queue.buffering.max.kbytes": 10}])
def test_where_there_is_no_room_for_all_the_rest_waits_and_comes_in_its_order(limit: dict[str, int]) -> None:
    world, sent = World(**limit), records(50, 1000)
    done, found = threading.Event(), list[Kept]()

    def work() -> None:
        assert produce_batch(world.producer, sent)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.wait(0.01):
        world.producer.purge()  # makes room
    thread.join()
    found += world.drained()
    assert found == kept(sent)


def test_a_record_that_is_refused_is_an_error() -> None:
    world = World(**{"message.max.bytes": 1000})
    with pytest.raises(KafkaException) as told:
        produce_batch(world.producer, [*records(1), *records(1, 2000), *records(1)])
    assert told.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
