from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem import Misconfigured, Origin, Rejected
from mainstem.codec import headers as h
from mainstem.errors import BAD_PAYLOAD, TARGET_REFUSES, MainstemError
from mainstem.flow import dead_letter as dl
from mainstem.flow.dead_letter import Failure, cause, dead_letter, first_origin
from mainstem.kafka.record import Record
from mainstem.testing.raw_message import RawMessage
from tests.unit.flow.conftest import TOPIC, message

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 2, tzinfo=UTC)
DLQ = "books.journal.dlq"


def raised(error: MainstemError) -> MainstemError:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def failure(said: str = "no such account", step: str = "write", **options: Any) -> Failure:
    return Failure(raised(Rejected(said, code=TARGET_REFUSES, **options)), "books.journal", step, attempts=3)


def read_back(record: Record, *, topic: str = "books.journal.redrive", offset: int = 0) -> RawMessage:
    """The letter as somebody reads it from another topic."""
    return message(record.value, key=record.key, topic=topic, offset=offset, headers=record.headers)


def redriven(record: Record) -> RawMessage:
    """As `mainstem dlq redrive` writes it: without the error but for its time, with the origin."""
    known = h.as_dict(record.headers)
    stripped = dl.ERROR_HEADERS - {dl.FIRST_FAILED_AT}
    origin = zip(dl.ORIGIN_HEADERS, (known[n] for n in (dl.TOPIC, dl.PARTITION, dl.OFFSET)), strict=True)
    kept = [(name, value) for name, value in record.headers if name not in stripped]
    return message(record.value, key=record.key, topic="books.journal.redrive", headers=[*kept, *origin])


def test_a_letter_is_the_original_byte_for_byte_with_headers_that_say_why() -> None:
    odd = [("ce_id", b"e1"), ("twice", b"1"), ("twice", b"\xff\x00"), ("empty", b"")]
    letter = dead_letter(message(b"\x00\xff", key=b"\xfe", headers=odd), failure(), DLQ, NOW)
    assert (letter.topic, letter.key, letter.value) == (DLQ, b"\xfe", b"\x00\xff")
    assert list(letter.headers[:4]) == odd
    known = h.as_dict(letter.headers)
    trace = known.pop("__connect.errors.exception.stacktrace").decode()
    assert "test_dead_letter.py" in trace
    assert {name: value for name, value in known.items() if name not in dict(odd)} == {
        "__connect.errors.topic": TOPIC.encode(),
        "__connect.errors.partition": b"0",
        "__connect.errors.offset": b"7",
        "__connect.errors.connector.name": b"books.journal",
        "__connect.errors.task.id": b"0",
        "__connect.errors.stage": b"write",
        "__connect.errors.class.name": b"books.journal",
        "__connect.errors.exception.class.name": b"mainstem.errors.Rejected",
        "__connect.errors.exception.message": b"no such account",
        "mainstem_error_code": b"MS-105",
        "mainstem_attempts": b"3",
        "mainstem_cause": cause(failure()).encode(),
        "mainstem_first_failed_at": b"2026-11-01T12:00:00Z",
    }


@pytest.mark.parametrize(("key", "value"), [(None, b"v"), (b"k", None), (None, None), (b"", b"")])
def test_missing_keys_and_values_stay_what_they_are(key: bytes | None, value: bytes | None) -> None:
    letter = dead_letter(message(value, key=key), failure(), DLQ)
    assert (letter.key, letter.value) == (key, value)


def test_a_redriven_record_that_fails_again_keeps_its_origin_and_its_first_failure() -> None:
    first = dead_letter(message(offset=41), failure(), DLQ, NOW)
    again = dead_letter(redriven(first), failure("closed", "map"), DLQ, LATER)
    known = h.as_dict(again.headers)
    assert (known[dl.TOPIC], known[dl.PARTITION], known[dl.OFFSET]) == (TOPIC.encode(), b"0", b"41")
    assert known[dl.FIRST_FAILED_AT] == b"2026-11-01T12:00:00Z"
    assert (known[dl.STAGE], known[dl.MESSAGE]) == (b"map", b"closed")
    names = [name for name, _ in again.headers]
    assert len(names) == len(set(names)), "an error header stands there twice"
    assert not set(names) & set(dl.ORIGIN_HEADERS)


@pytest.mark.parametrize(
    "hostile",
    [b"", b"x", b"-1", "\u00b2".encode(), "\u0663".encode(), b"9" * 5000, b"\xff", b" 1", b"1_0"],
)
@pytest.mark.parametrize("name", dl.ORIGIN_HEADERS[1:])
def test_an_origin_that_is_no_place_counts_for_nothing(name: str, hostile: bytes) -> None:
    good = {"mainstem_origin_topic": b"t", "mainstem_origin_partition": b"1", "mainstem_origin_offset": b"2"}
    assert first_origin(message(headers=list(good.items()))) == Origin("t", 1, 2)
    bad = message(headers=list({**good, name: hostile}.items()))
    assert first_origin(bad) == Origin(TOPIC, 0, 7)
    assert h.as_dict(dead_letter(bad, failure(), DLQ).headers)[dl.OFFSET] == b"7"


@given(st.text(max_size=2000))
def test_a_message_is_text_of_at_most_a_kilobyte(said: str) -> None:
    letter = dead_letter(message(), Failure(Rejected(said), "p", "map"), DLQ)
    for name, value in letter.headers:
        assert len(value) <= 1000, name
        value.decode()


@pytest.mark.parametrize("character", ["e", "\u00e9", "\u20ac", "\U0001f600"])
@pytest.mark.parametrize("before", range(5))
def test_a_long_message_is_cut_between_characters(character: str, before: int) -> None:
    said = "-" * before + character * 1001
    letter = dead_letter(message(), Failure(Rejected(said), "p", "map"), DLQ)
    value = h.as_dict(letter.headers)[dl.MESSAGE]
    assert 990 < len(value) <= 1000
    assert said.startswith(value.decode().removesuffix("..."))


def test_a_message_that_just_fits_is_not_cut() -> None:
    letter = dead_letter(message(), Failure(Rejected("\u20ac" * 333 + "e"), "p", "map"), DLQ)
    assert h.as_dict(letter.headers)[dl.MESSAGE].decode() == "\u20ac" * 333 + "e"


def of(make: Callable[[], MainstemError], step: str = "write", part: str = "p") -> str:
    return cause(Failure(raised(make()), part, step))


def test_equal_failures_of_different_records_have_one_cause() -> None:
    said = ["order 9 is closed", "order 10 is closed", "order 123456 is closed"]
    assert len({of(lambda text=text: Rejected(text)) for text in said}) == 1  # type: ignore[misc]
    assert of(lambda: Rejected("a", code=BAD_PAYLOAD), part="p") == of(
        lambda: Rejected("a", code=BAD_PAYLOAD), part="q"
    )


def test_other_failures_have_another_cause() -> None:
    def elsewhere() -> str:
        error = Rejected("a")
        try:
            raise error
        except Rejected:
            return cause(Failure(error, "p", "write"))

    causes = [
        of(lambda: Rejected("a")),
        of(lambda: Rejected("b")),
        of(lambda: Rejected("a", code=BAD_PAYLOAD)),
        of(lambda: Misconfigured("a")),
        of(lambda: Rejected("a"), step="map"),
        elsewhere(),
    ]
    assert len(set(causes)) == len(causes)


def test_a_cause_does_not_depend_on_the_process() -> None:
    assert cause(Failure(Rejected("closed", code=TARGET_REFUSES), "books.journal", "write")) == "068687f5a04a"
