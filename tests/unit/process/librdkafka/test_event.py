"""What a step is given, and what it makes of it."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Message

from mainstem.process.librdkafka.event import Event

RECORD: Any = Message(
    topic="orders", partition=3, offset=17, key=b"k", value=b"v", headers=[("n", b"1")], timestamp=(1, 1000), error=None
)


def test_an_event_that_was_received_has_the_parts_of_its_record() -> None:
    event = Event(RECORD.key(), "decoded", RECORD.headers(), RECORD)
    assert (event.key, event.value, event.headers) == (b"k", "decoded", [("n", b"1")])
    assert (event.topic, event.partition, event.offset, event.timestamp_ms) == ("orders", 3, 17, 1000)


def test_an_event_with_another_value_keeps_key_and_headers_and_is_nowhere_yet() -> None:
    made = Event(RECORD.key(), "decoded", RECORD.headers(), RECORD).with_value("changed")
    assert (made.key, made.value, made.headers) == (b"k", "changed", [("n", b"1")])
    assert (made.topic, made.partition, made.offset, made.timestamp_ms) == ("", -1, -1, 0)
    assert made.with_value("again", b"other").key == b"other"


def test_an_event_is_made_of_a_key_a_value_and_headers() -> None:
    event = Event(b"k", 1, [("a", b"b")])
    assert (event.key, event.value, event.headers, event.offset) == (b"k", 1, [("a", b"b")], -1)
