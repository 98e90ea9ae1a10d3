"""Messages as events: mainstem's own, those of other producers, and those that somebody made to do harm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem import Event, Origin, Rejected
from mainstem.codec import headers as h
from mainstem.codec.avro import Codec
from mainstem.codec.message import origin_of, read_event
from mainstem.errors import BAD_PAYLOAD, NOT_AVRO
from mainstem.testing.memory_registry import MemoryRegistry
from mainstem.testing.raw_message import RawMessage

pytestmark = pytest.mark.usefixtures("codec_engine")

TOPIC = "shop.order.v1"
ORDER = {"type": "record", "name": "order", "namespace": "shop", "fields": [{"name": "n", "type": "int"}]}
CODEC = Codec(MemoryRegistry({TOPIC: ORDER}), {TOPIC: ORDER})
VALUE = CODEC.encoder(TOPIC).encode({"n": 7}) or b""
STAMP = (1, 1_793_534_400_000)


def read(
    value: bytes | None = VALUE, headers: Any = (), *, key: bytes | None = b"k", stamp: tuple[int, int] = STAMP
) -> Event:
    return read_event(RawMessage(TOPIC, 2, 9, key, value, headers, stamp), CODEC.decoder(TOPIC))


def test_a_record_of_another_producer_gets_its_id_from_where_it_stands() -> None:
    for headers in ((), None, [("ce_id", b"")], [("ce_id", None)]):
        event = read(headers=headers)
        assert (event.id, event.key, event.type, event.source) == ("kafka:shop.order.v1:2:9", "k", "", "")
        assert (event.time, event.ingested_at, event.trace) == (datetime(2026, 11, 1, 12, tzinfo=UTC), None, None)
        assert (event.origin, event.data) == (Origin(TOPIC, 2, 9), {"n": 7})


def test_headers_that_are_no_text_are_readable_and_cost_nothing() -> None:
    event = read(headers=[("ce_id", b"e1"), ("ce_subject", b"\xff"), ("x", b"\x00\xfe")], key=b"\xff")
    assert (event.id, event.subject, event.headers, event.key) == ("e1", "\ufffd", {"x": "\x00\ufffd"}, "\ufffd")


@pytest.mark.parametrize("revision", [b"9" * 5000, b"-1", b"x", b"", b"1.0", "\u00b2".encode()])
def test_a_revision_that_is_no_number_is_none(revision: bytes) -> None:
    assert read(headers=[("mainstem_revision", revision)]).revision == 0


@pytest.mark.parametrize("milliseconds", [2**63 - 1, -(2**63), 10**15, -(10**15)])
def test_a_timestamp_beyond_the_calendar_is_none(milliseconds: int) -> None:
    assert read(stamp=(1, milliseconds)).time is None
    assert read(stamp=(0, 0)).time is None


@given(
    st.lists(
        st.tuples(st.sampled_from([*sorted(h.ATTRIBUTES), h.VALUE_SCHEMA_ID, "x"]), st.none() | st.binary(max_size=20))
    ),
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=40),
    st.integers(-(2**63), 2**63 - 1),
)
def test_no_message_is_too_hostile_to_be_an_event(
    headers: list[tuple[str, bytes]], key: bytes | None, value: bytes | None, milliseconds: int
) -> None:
    event = read(value, headers, key=key, stamp=(1, milliseconds))
    assert event.id
    assert event.time is None or event.time.tzinfo is UTC
    assert event.ingested_at is None or event.ingested_at.tzinfo is UTC
    event.id.encode()
    h.write_headers(event)
    try:
        assert event.payload is None or set(event.payload) == {"n"}
    except Rejected as error:
        assert error.code.number.startswith("MS-1")


def test_a_tombstone_has_no_payload() -> None:
    event = read(None)
    assert event.payload is None
    with pytest.raises(ValueError, match="tombstone"):
        _ = event.data


def test_a_schema_that_is_named_in_a_header_counts() -> None:
    assert read(VALUE[5:], [(h.VALUE_SCHEMA_ID, b"\x00\x00\x00\x00\x01")]).data == {"n": 7}
    assert read(VALUE, [(h.VALUE_SCHEMA_ID, b"")]).data == {"n": 7}


@pytest.mark.parametrize("named", [b"\x00", b"\x01\x00\x00\x00\x01", b"\x00\x00\x00\x00\x01\x00", b"1"])
def test_a_schema_header_of_another_form_is_refused(named: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        _ = read(VALUE[5:], [(h.VALUE_SCHEMA_ID, named)]).data
    assert caught.value.code is NOT_AVRO


def test_what_does_not_decode_is_an_event_all_the_same_until_its_data_is_read() -> None:
    event = read(VALUE + b"x", [("ce_id", b"e1")])
    event.preload()
    assert (event.id, event.key) == ("e1", "k")
    for _ in range(2):
        with pytest.raises(Rejected) as caught:
            _ = event.data
        assert caught.value.code is BAD_PAYLOAD
    assert "e1" in repr(event)


class Counting:
    """A decoder that says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def decode(self, _value: bytes, _schema_id: int | None = None) -> dict[str, int]:
        self.asked += 1
        return {"n": 1}


def test_looking_at_an_event_does_not_decode_it_and_reading_it_does_so_once() -> None:
    decoder = Counting()
    event = read_event(RawMessage(TOPIC, 0, 0, b"k", VALUE, [("ce_id", b"e1")]), decoder)  # type: ignore[arg-type]
    assert (event.id, event.key, event.origin, repr(event)[:6]) == ("e1", "k", Origin(TOPIC, 0, 0), "Event(")
    other = event.replace(id="e2", data={"n": 2})
    assert (other.id, other.data, other.key, event.id) == ("e2", {"n": 2}, "k", "e1")
    assert decoder.asked == 0
    assert (event.data, event.data, event.payload) == ({"n": 1}, {"n": 1}, {"n": 1})
    assert event.replace(id="e3").data == {"n": 1}
    assert decoder.asked == 1


def test_a_changed_event_keeps_what_does_not_decode_undecoded() -> None:
    changed = read(VALUE + b"x").replace(key="other")
    assert changed.key == "other"
    with pytest.raises(Rejected):
        _ = changed.data


def test_an_attribute_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = read().nothing  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        read().replace(nothing=1)


def test_a_message_without_a_place_stands_nowhere() -> None:
    nowhere = RawMessage(None, None, None, None, None)  # type: ignore[arg-type]
    assert origin_of(nowhere) == Origin("", 0, 0)
