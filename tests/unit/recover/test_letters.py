"""The projection of a dead-letter topic and its statuses."""

from __future__ import annotations

from datetime import timedelta

from mainstem.codec import headers as h
from mainstem.errors import MAPPING_FAILED, Rejected
from mainstem.event import Origin
from mainstem.flow.letter_status import DELIVERED, WAITING
from mainstem.recover.causes import group_by_cause
from mainstem.recover.faults import read_fault, read_origin
from mainstem.recover.letters import UNTRACKED, project
from mainstem.recover.redrive import redriven_record
from tests.unit.recover.letters import AT, DLQ, TOPIC, FakeMessage, by_identity, letter, sold, status


def test_a_letter_tells_its_origin_its_failure_and_its_state() -> None:
    message = sold(7, "a")

    box = project(DLQ, [letter(message, 0)], by_identity(status(message, WAITING)))

    (found,) = box.letters
    assert (found.event_id, found.state, found.origin, found.place) == ("a", WAITING, message.place, Origin(DLQ, 0, 0))
    assert (found.key, found.value) == (b"k", b"a-value")
    assert found.scope == (TOPIC, b"k".hex())
    fault = found.fault
    assert (fault.code, fault.step, fault.part, found.attempts) == ("MS-105", "write", "shop.journal", 3)
    assert fault.message == "account 17 is closed"
    assert found.failed_at == AT


def test_of_several_copies_of_a_letter_the_latest_counts() -> None:
    first = letter(sold(7, "a"), 0)
    box = project(DLQ, [first], by_identity(status(sold(7, "a"), WAITING)))
    again = redriven_record(box.letters[0], "shop.journal.redrive", "r1", {"shop.journal.redrive": 1, TOPIC: 1})
    came_back = FakeMessage(Origin("shop.journal.redrive", 0, 3), again.key, again.value, again.headers)
    second = letter(came_back, 1, Rejected("not in the mapping", code=MAPPING_FAILED), AT + timedelta(hours=1))

    (found,) = project(DLQ, [first, second], by_identity(status(sold(7, "a"), WAITING))).letters

    assert found.place.offset == 1
    assert found.origin == Origin(TOPIC, 0, 7)
    assert found.redrive_count == 1
    assert found.fault.code == "MS-106"


def test_an_id_that_was_published_twice_is_two_letters() -> None:
    one, two = sold(7, "a"), sold(9, "a")

    box = project(DLQ, [letter(one, 0), letter(two, 1)], by_identity(status(one, DELIVERED), status(two, WAITING)))

    assert [(found.origin.offset, found.state) for found in box.letters] == [(7, DELIVERED), (9, WAITING)]


def test_a_record_without_an_id_is_known_by_where_it_stood_first() -> None:
    nameless = FakeMessage(Origin(TOPIC, 2, 5))

    (found,) = project(DLQ, [letter(nameless, 0)], {}).letters

    assert found.event_id == f"kafka:{TOPIC}:2:5"
    assert found.state == UNTRACKED


def test_a_record_that_waits_without_a_letter_is_told() -> None:
    gone = status(sold(3, "gone"), WAITING)

    box = project(DLQ, [], by_identity(gone, status(sold(4, "done"), DELIVERED)))

    assert box.missing == (gone,)


def test_letters_stand_in_the_order_of_their_origins() -> None:
    box = project(DLQ, [letter(sold(9, "c"), 0), letter(sold(2, "a"), 1), letter(sold(5, "b"), 2)], {})

    assert [found.event_id for found in box.letters] == ["a", "b", "c"]


def test_kafka_streams_headers_are_understood() -> None:
    headers = {
        "__streams.errors.topic": b"orders",
        "__streams.errors.partition": b"3",
        "__streams.errors.offset": b"41",
        "__streams.errors.exception": b"java.lang.IllegalStateException",
        "__streams.errors.message": b"no store 7",
        "__streams.errors.stacktrace": b"at Streams.java",
    }

    fault = read_fault(headers)

    assert read_origin(headers) == Origin("orders", 3, 41)
    assert (fault.exception, fault.message) == ("java.lang.IllegalStateException", "no store 7")
    assert fault.stacktrace == "at Streams.java"


def test_spring_headers_are_understood_numbers_being_binary() -> None:
    headers = {
        "kafka_dlt-original-topic": b"orders",
        "kafka_dlt-original-partition": (2).to_bytes(4, "big"),
        "kafka_dlt-original-offset": (1 << 33).to_bytes(8, "big"),
        "kafka_dlt-exception-fqcn": b"com.acme.Refused",
        "kafka_dlt-exception-message": b"limit of 17 reached",
        "kafka_dlt-exception-stacktrace": b"at Acme.java",
    }

    assert read_origin(headers) == Origin("orders", 2, 1 << 33)
    assert read_fault(headers).exception == "com.acme.Refused"


def test_foreign_letters_of_one_fault_have_one_cause_whatever_the_numbers() -> None:
    def fault(message: str) -> str:
        return read_fault({"kafka_dlt-exception-fqcn": b"E", "kafka_dlt-exception-message": message.encode()}).cause

    assert fault("limit of 17 reached") == fault("limit of 23 reached")
    assert fault("limit of 17 reached") != fault("no such account")


def test_headers_that_make_no_sense_cost_the_origin_and_not_the_letter() -> None:
    headers = [
        ("__connect.errors.topic", b"t"),
        ("__connect.errors.partition", b"x"),
        ("__connect.errors.offset", b"9" * 5000),
        ("mainstem_attempts", b"-1"),
        ("mainstem_first_failed_at", b"yesterday"),
        (h.REDRIVE_COUNT, b"9" * 5000),
    ]
    message = FakeMessage(Origin(DLQ, 0, 4), headers_=headers)

    (found,) = project(DLQ, [message], {}).letters

    assert found.origin == found.place
    assert (found.attempts, found.redrive_count) == (None, 0)
    assert found.failed_at == found.written_at


def test_letters_are_grouped_by_cause_the_largest_first() -> None:
    closed = [letter(sold(n, f"c{n}", key=b"k%d" % (n % 2)), n, failed_at=AT + timedelta(minutes=n)) for n in range(3)]
    other = letter(sold(9, "o"), 9, Rejected("no amount", code=MAPPING_FAILED))

    first, second = group_by_cause(project(DLQ, [*closed, other], {}).letters)

    assert (first.letters, first.keys, first.code, first.step) == (3, 2, "MS-105", "write")
    assert (first.first_failed_at, first.last_failed_at) == (AT, AT + timedelta(minutes=2))
    assert first.sample == "account 17 is closed"
    assert (second.letters, second.code) == (1, "MS-106")
