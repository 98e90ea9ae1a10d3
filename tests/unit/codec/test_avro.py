"""Encoding and decoding through a registry: every failure has its code, nothing crashes, no value is quoted."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainstem.codec.avro import MAX_BYTES, Codec, Decoder, Encoder
from mainstem.codec.engine import engine
from mainstem.codec.registry import Definition, value_subject
from mainstem.errors import (
    BAD_PAYLOAD,
    FOREIGN_SCHEMA,
    NOT_AVRO,
    SCHEMA_NOT_REGISTERED,
    SCHEMA_REFUSES,
    TOO_LARGE,
    UNSAFE_SCHEMA,
    Code,
    Misconfigured,
    Rejected,
    Unreachable,
)
from mainstem.testing.memory_registry import MemoryRegistry
from tests.thorough import examples

pytestmark = pytest.mark.usefixtures("codec_engine")

TOPIC = "shop.order.v1"
SUBJECT = value_subject(TOPIC)
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}
INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
NOW = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)


def order(*more: dict[str, Any]) -> Definition:
    fields = [{"name": "n", "type": "int"}, {"name": "card", "type": "string"}, *more]
    return {"type": "record", "namespace": "shop", "name": "order", "fields": fields}


ORDER = order()
WIDE = order(
    {"name": "net", "type": MONEY},
    {"name": "at", "type": INSTANT},
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "lines", "type": {"type": "array", "items": "string"}},
    {"name": "tags", "type": {"type": "map", "values": "long"}},
)
WIDE_DATA = {
    "n": 1,
    "card": "4711",
    "net": Decimal("5.10"),
    "at": NOW,
    "note": "é",
    "lines": ["a", ""],
    "tags": {"k": 2**40},
}


def codec(definition: Definition = ORDER, *earlier: Definition) -> Codec:
    registry = MemoryRegistry()
    for each in (*earlier, definition):
        registry.register(SUBJECT, each)
    return Codec(registry, {TOPIC: definition})


def rejected(code: Code, decoder: Decoder, value: bytes, schema_id: int | None = None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decoder.decode(value, schema_id)
    assert caught.value.code is code
    return caught.value


def encoded(data: Any, definition: Definition = ORDER) -> bytes:
    value = codec(definition).encoder(TOPIC).encode(data)
    assert value is not None
    return value


def test_a_value_is_framed_with_the_id_of_its_schema_and_read_as_it_was_written() -> None:
    wide = codec(WIDE, ORDER)
    value = wide.encoder(TOPIC).encode(WIDE_DATA)
    assert value is not None
    assert value[:5] == b"\x00\x00\x00\x00\x02"
    assert wide.decoder(TOPIC).decode(value) == WIDE_DATA


def test_a_tombstone_has_no_bytes() -> None:
    assert codec().encoder(TOPIC).encode(None) is None


def test_a_batch_is_read_as_its_values_are_one_by_one() -> None:
    wide = codec(WIDE, ORDER)
    good = wide.encoder(TOPIC).encode(WIDE_DATA) or b""
    decoder = wide.decoder(TOPIC)
    bad = [b"{}", good + b"xyz", b"\x00\x00\x00\x00\x09", good[:-1], bytes(MAX_BYTES + 1)]

    for _ in range(2):
        read = decoder.decode_all([good, None, *bad, good])

        assert [read[0], read[1], read[-1]] == [WIDE_DATA, None, WIDE_DATA]
        refused = [str(each) for each in read[2:-1] if isinstance(each, Rejected)]
        assert refused == [str(rejected(code, decoder, value)) for code, value in zip(BAD_CODES, bad, strict=True)]


BAD_CODES = [NOT_AVRO, BAD_PAYLOAD, FOREIGN_SCHEMA, BAD_PAYLOAD, TOO_LARGE]


def test_a_batch_is_written_as_its_values_are_one_by_one() -> None:
    encoder = codec().encoder(TOPIC)
    good, left_to_fastavro, bad = {"n": 1, "card": "é"}, MappingProxyType({"n": 1, "card": "é"}), {"n": 1, "card": 7}

    written = encoder.encode_all([good, None, bad, left_to_fastavro])

    assert written[:2] == [encoder.encode(good), None]
    assert written[3] == written[0]
    assert isinstance(written[2], Rejected)
    assert written[2].code is SCHEMA_REFUSES


def test_what_an_otherwise_raises_ends_the_batch() -> None:
    registry = FlakyRegistry({TOPIC: ORDER})
    with pytest.raises(Unreachable):
        Codec(registry, {TOPIC: ORDER}).decoder(TOPIC).decode_all([encoded({"n": 1, "card": "4711"})])


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00\x00\x00\x00", b"{}", b"\x01\x00\x00\x00\x01\x02\x00"])
def test_what_is_not_framed_is_not_avro(value: bytes) -> None:
    rejected(NOT_AVRO, codec().decoder(TOPIC), value)


def test_a_schema_of_another_subject_is_foreign_though_the_registry_knows_it() -> None:
    registry = MemoryRegistry({TOPIC: ORDER, "shop.refund.v1": WIDE})
    value = Codec(registry, {"shop.refund.v1": WIDE}).encoder("shop.refund.v1").encode(WIDE_DATA) or b""
    rejected(FOREIGN_SCHEMA, Codec(registry, {TOPIC: ORDER}).decoder(TOPIC), value)
    rejected(FOREIGN_SCHEMA, codec().decoder(TOPIC), b"\x00\xff\xff\xff\xff")


def test_a_dead_letter_is_decoded_with_the_schemas_of_its_origin() -> None:
    value = encoded({"n": 1, "card": "4711"})
    assert codec().decoder("books.journal.dlq", subject_of=TOPIC).decode(value)["n"] == 1
    rejected(FOREIGN_SCHEMA, codec().decoder("books.journal.dlq"), value)


@pytest.mark.parametrize("cut", range(5, 12))
def test_a_truncated_value_does_not_decode(cut: int) -> None:
    value = encoded({"n": 1, "card": "4711"})
    assert len(value) > cut - 1
    rejected(BAD_PAYLOAD, codec().decoder(TOPIC), value[: min(cut, len(value) - 1)])


def test_bytes_after_the_value_are_not_ignored() -> None:
    said = rejected(BAD_PAYLOAD, codec().decoder(TOPIC), encoded({"n": 1, "card": "4711"}) + b"xyz").cause
    assert "3 bytes are left" in said


def test_a_value_that_is_too_large_is_not_even_looked_at() -> None:
    value = encoded({"n": 1, "card": "x" * MAX_BYTES})
    rejected(TOO_LARGE, codec().decoder(TOPIC), value)
    rejected(TOO_LARGE, codec().decoder(TOPIC), value[5:], 1)


def test_a_value_whose_schema_is_named_apart_is_bare_avro() -> None:
    value = encoded({"n": 1, "card": "4711"})
    assert codec().decoder(TOPIC).decode(value[5:], 1) == {"n": 1, "card": "4711"}
    rejected(FOREIGN_SCHEMA, codec().decoder(TOPIC), value[5:], 9)
    rejected(BAD_PAYLOAD, codec().decoder(TOPIC), value, 1)


def test_what_an_older_version_wrote_is_read_with_the_defaults_of_ours() -> None:
    newer = order({"name": "note", "type": "string", "default": "none"})
    value = encoded({"n": 1, "card": "4711"})
    assert codec(newer, ORDER).decoder(TOPIC).decode(value) == {"n": 1, "card": "4711", "note": "none"}


def test_what_a_newer_version_wrote_is_read_without_what_ours_does_not_know() -> None:
    newer = order({"name": "note", "type": "string", "default": "none"})
    registry = MemoryRegistry()
    ids = [registry.register(SUBJECT, each) for each in (ORDER, newer)]
    value = Encoder(TOPIC, newer, ids[1]).encode({"n": 1, "card": "4711", "note": "x"}) or b""
    assert Codec(registry, {TOPIC: ORDER}).decoder(TOPIC).decode(value) == {"n": 1, "card": "4711"}


def test_a_topic_that_the_project_has_no_schema_for_is_read_as_it_was_written() -> None:
    registry = MemoryRegistry({TOPIC: ORDER})
    assert Codec(registry, {}).decoder(TOPIC).decode(encoded({"n": 1, "card": "4711"}))["card"] == "4711"


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        (
            {"type": "record", "name": "t.Node", "namespace": "q", "fields": [{"name": "n", "type": ["null", "Node"]}]},
            UNSAFE_SCHEMA,
        ),
        (
            {"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]},
            UNSAFE_SCHEMA,
        ),
        ({"type": "object", "properties": {}}, FOREIGN_SCHEMA),
        ({"type": "record", "name": "R"}, BAD_PAYLOAD),
        ({"type": "record", "name": "R", "fields": [{"name": "a", "type": "Missing"}]}, FOREIGN_SCHEMA),
        ({"type": "array", "items": "int"}, FOREIGN_SCHEMA),
        ("string", FOREIGN_SCHEMA),
    ],
)
def test_a_registered_schema_that_is_not_usable_costs_its_records_and_no_more(definition: Any, code: Code) -> None:
    registry = MemoryRegistry({TOPIC: ORDER})
    bad = registry.register(SUBJECT, definition)
    decoder = Codec(registry, {TOPIC: ORDER}).decoder(TOPIC)
    for _ in range(2):
        rejected(code, decoder, b"\x00" + bad.to_bytes(4, "big") + b"\x02" * 100_000)
    assert decoder.decode(encoded({"n": 1, "card": "4711"}))["n"] == 1


class FlakyRegistry(MemoryRegistry):
    """Knows its ids; what is behind them it gives only when it is there."""

    there = False

    def definition(self, schema_id: int) -> Definition:
        if not self.there:
            raise Unreachable("the registry does not answer")
        return super().definition(schema_id)


def test_a_registry_that_does_not_answer_is_no_records_fault() -> None:
    registry = FlakyRegistry({TOPIC: ORDER})
    decoder = Codec(registry, {TOPIC: ORDER}).decoder(TOPIC)
    value = encoded({"n": 1, "card": "4711"})
    with pytest.raises(Unreachable):
        decoder.decode(value)
    registry.there = True
    assert decoder.decode(value)["n"] == 1
    registry.there = False
    assert decoder.decode(value)["n"] == 1, "a schema that was found once is not asked for again"


@pytest.mark.parametrize(
    "data",
    [
        {"n": 1},
        {"n": 1, "card": None},
        {"n": 1, "card": 4711},
        {"n": "4711", "card": b"4711"},
        {"n": 1.5, "card": "4711"},
        {"card": "4711"},
        {},
        [],
        "4711",
        4711,
        {"n": 2**31, "card": "4711"},
        {"n": 2**70, "card": "4711"},
        {"n": 1, "card": "\ud800 4711"},
    ],
)
def test_data_that_does_not_fit_is_refused_without_its_values(data: Any) -> None:
    with pytest.raises(Rejected) as caught:
        codec().encoder(TOPIC).encode(data)
    assert caught.value.code is SCHEMA_REFUSES
    assert "4711" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    assert caught.value.__cause__ is None


def test_a_refusal_names_the_field() -> None:
    with pytest.raises(Rejected, match="card: expected string"):
        codec().encoder(TOPIC).encode({"n": 1, "card": b"\xff"})


def test_an_encoder_wants_a_schema_that_is_there_registered_and_safe() -> None:
    with pytest.raises(Misconfigured, match=r"shop\.other\.v1"):
        codec().encoder("shop.other.v1")
    with pytest.raises(Misconfigured) as unregistered:
        Codec(MemoryRegistry(), {TOPIC: ORDER}).encoder(TOPIC)
    assert unregistered.value.code is SCHEMA_NOT_REGISTERED
    with pytest.raises(Misconfigured) as unsafe:
        codec(order({"name": "a", "type": {"type": "array", "items": "null"}})).encoder(TOPIC)
    assert unsafe.value.code is UNSAFE_SCHEMA


@cache
def hostile(_: str) -> Decoder:
    return codec(WIDE).decoder(TOPIC)


FRAME = b"\x00\x00\x00\x00\x01"


@settings(max_examples=examples(400), deadline=None)
@given(st.binary(max_size=200))
@example(b"\x02\x08abcd" + b"\xff" * 20)
@example(b"\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")
def test_hostile_bytes_are_refused_or_decoded_and_never_fatal(payload: bytes) -> None:
    for value in (payload, FRAME + payload):
        try:
            assert set(hostile(engine()).decode(value)) == set(WIDE_DATA)
        except Rejected as error:
            assert error.__cause__ is None


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(min_size=1, max_size=64), st.data())
def test_a_hundred_kilobytes_of_hostile_bytes_are_refused(piece: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 20))
    good = encoded(WIDE_DATA, WIDE)[: 5 + start]
    payload = good + piece * (100_000 // len(piece) + 1)
    with pytest.raises(Rejected) as caught:
        hostile(engine()).decode(payload[:100_000])
    assert len(caught.value.cause) < 300


@given(st.integers(0, 80), st.integers(0, 255))
def test_one_wrong_byte_never_shows_what_stands_beside_it(place: int, byte: int) -> None:
    value = bytearray(encoded({**WIDE_DATA, "card": "SECRET-CARD-NUMBER"}, WIDE))
    value[5 + place % (len(value) - 5)] = byte
    try:
        hostile(engine()).decode(bytes(value))
    except Rejected as error:
        assert "SECRET" not in f"{error}{error!r}"
