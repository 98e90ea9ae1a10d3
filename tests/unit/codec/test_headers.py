from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem import Event
from mainstem.codec import headers as h
from mainstem.codec.avro import Decoder
from mainstem.codec.message import read_event
from mainstem.testing.memory_registry import MemoryRegistry
from mainstem.testing.raw_message import RawMessage

DECODER = Decoder("t.v1", MemoryRegistry(), None)
TEXT = st.text(max_size=20)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# Not the calendar's own ends, which have no time in UTC.
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES)  # noqa: DTZ001 - bounds have no zone
ZONE = timezone(timedelta(hours=2))
OWN_NAMES = TEXT.filter(lambda name: name not in h.ATTRIBUTES)


def read(headers: h.Headers) -> Event:
    return read_event(RawMessage("t.v1", 0, 1, b"k", b"v", headers), DECODER)


@given(
    st.builds(
        Event,
        id=st.text(min_size=1, max_size=20),
        type=TEXT,
        source=TEXT,
        time=TIMES,
        subject=st.none() | TEXT,
        trace=st.none() | TEXT,
        ingested_at=st.none() | TIMES,
        revision=st.integers(0, 10**17),
        headers=st.dictionaries(OWN_NAMES, TEXT, max_size=4),
    )
)
def test_an_events_attributes_come_back_from_its_headers(event: Event) -> None:
    back = read(h.write_headers(event))
    for name in ("id", "type", "source", "time", "subject", "trace", "ingested_at", "revision", "headers"):
        assert getattr(back, name) == getattr(event, name), name


def test_the_headers_are_those_of_cloudevents_in_kafka() -> None:
    event = Event(id="1", type="shop.order", source="/till", time=datetime(2026, 11, 1, 14, tzinfo=ZONE), subject="s")
    assert h.write_headers(event) == [
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/avro"),
        ("ce_id", b"1"),
        ("ce_source", b"/till"),
        ("ce_type", b"shop.order"),
        ("ce_time", b"2026-11-01T12:00:00Z"),
        ("ce_subject", b"s"),
    ]


@pytest.mark.parametrize("name", sorted(h.ATTRIBUTES))
def test_a_header_of_ones_own_cannot_take_the_place_of_an_attribute(name: str) -> None:
    event = Event(id="1", type="shop.order", source="/till", headers={name: "forged", "mine": "kept"})
    known = h.as_dict(h.write_headers(event))
    assert b"forged" not in known.values()
    assert (known["ce_id"], known["mine"]) == (b"1", b"kept")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2026-11-01T12:00:00Z", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        (b"2026-11-01T14:00:00.000001+02:00", datetime(2026, 11, 1, 12, 0, 0, 1, tzinfo=UTC)),
        (b"2026-11-01T12:00:00", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        (b"2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        (b"", None),
        (None, None),
        (b"yesterday", None),
        (b"\xff\xfe", None),
        (b"0001-01-01T00:00:00+23:59", None),
        (b"9999-12-31T23:59:59-23:59", None),
    ],
)
def test_a_time_is_read_in_utc_and_a_bad_one_costs_nothing(text: bytes | None, expected: datetime | None) -> None:
    found = h.parse_time(text)
    assert found == expected
    assert found is None or found.tzinfo is UTC


@given(st.binary(max_size=40))
def test_no_header_is_too_hostile_for_a_time_or_a_number(value: bytes) -> None:
    found = h.parse_time(value)
    assert found is None or found.tzinfo is UTC
    number = h.parse_number(value)
    assert number is None or number >= 0


@pytest.mark.parametrize("value", ["\u00b2".encode(), "\u0663".encode(), b"9" * 5000, b"-1", b" 1", b"1_0", b"", None])
def test_a_number_is_decimal_digits_and_not_too_many(value: bytes | None) -> None:
    assert h.parse_number(value) is None
    assert h.parse_number(b"0123") == 123
    assert h.parse_number("\u00b2") is None


def test_of_a_repeated_header_the_last_counts_and_a_null_one_is_empty() -> None:
    assert h.as_dict([("a", b"1"), ("a", b"2"), ("b", None)]) == {"a": b"2", "b": b""}  # type: ignore[list-item]
    assert h.as_dict(None) == {}
    assert h.text({"a": b"\xff"}, "a") == "\ufffd"
    assert h.text({}, "a") is None
