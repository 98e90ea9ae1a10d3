"""Bytes written out by hand, after https://avro.apache.org/docs/1.12.0/specification/#binary-encoding."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


def fixed(size: int, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size, **more}


CENTS = logical("bytes", "decimal", precision=8, scale=2)
LONG = logical("bytes", "decimal", precision=30, scale=0)
FOUR = fixed(4, logicalType="decimal", precision=9, scale=2)
PAIR = {"type": "record", "name": "Pair", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]}
NODE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "n", "type": "int"}, {"name": "next", "type": ["null", "Node"]}],
}

GOLDEN: list[tuple[Any, Any, bytes]] = [
    ("null", None, b""),
    ("boolean", True, b"\x01"),
    ("boolean", False, b"\x00"),
    ("int", 0, b"\x00"),
    ("int", -1, b"\x01"),
    ("int", 1, b"\x02"),
    ("int", -64, b"\x7f"),
    ("int", 64, b"\x80\x01"),
    ("int", 2**31 - 1, b"\xfe\xff\xff\xff\x0f"),
    ("long", -(2**63), b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    ("float", 1.0, b"\x00\x00\x80\x3f"),
    ("double", -2.0, b"\x00\x00\x00\x00\x00\x00\x00\xc0"),
    ("string", "foo", b"\x06foo"),
    ("string", "", b"\x00"),
    ("string", "é€𝄞", b"\x12\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e"),
    ("bytes", b"\x00\xff", b"\x04\x00\xff"),
    (fixed(2), b"\x00\xff", b"\x00\xff"),
    ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", b"\x02"),
    ({"type": "array", "items": "long"}, [3, 27], b"\x04\x06\x36\x00"),
    ({"type": "array", "items": "long"}, [], b"\x00"),
    ({"type": "map", "values": "int"}, {"k": 1}, b"\x02\x02k\x02\x00"),
    (["null", "string"], None, b"\x00"),
    (["null", "string"], "a", b"\x02\x02a"),
    (PAIR, {"a": 27, "b": "foo"}, b"\x36\x06foo"),
    (NODE, {"n": 1, "next": {"n": 2, "next": None}}, b"\x02\x02\x04\x00"),
    (CENTS, Decimal("1.00"), b"\x02\x64"),
    (CENTS, Decimal("0.00"), b"\x02\x00"),
    (CENTS, Decimal("-1.28"), b"\x04\xff\x80"),
    (LONG, Decimal(2**70), b"\x12\x40" + bytes(8)),
    (LONG, Decimal(-(2**70)), b"\x12\xc0" + bytes(8)),
    (FOUR, Decimal("-0.01"), b"\xff\xff\xff\xff"),
    (FOUR, Decimal("2.56"), b"\x00\x00\x01\x00"),
    (logical("int", "date"), date(1970, 1, 2), b"\x02"),
    (logical("int", "date"), date(1, 1, 1), b"\xf3\xe4\x57"),
    (logical("int", "time-millis"), time(0, 0, 1), b"\xd0\x0f"),
    (logical("long", "time-micros"), time(0, 0, 0, 1), b"\x02"),
    (logical("long", "timestamp-millis"), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), b"\xd0\x0f"),
    (logical("long", "timestamp-micros"), datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), b"\x01"),
    (logical("long", "local-timestamp-millis"), datetime(1970, 1, 1, 0, 0, 1), b"\xd0\x0f"),  # noqa: DTZ001 - its sense
    (logical("long", "local-timestamp-micros"), datetime(1970, 1, 1, 0, 0, 0, 1), b"\x02"),  # noqa: DTZ001
    (logical("string", "uuid"), UUID(int=1), b"\x4800000000-0000-0000-0000-000000000001"),
]


@pytest.mark.parametrize(("schema", "value", "golden"), GOLDEN)
def test_a_value_has_the_bytes_of_the_specification(schema: Any, value: Any, golden: bytes) -> None:
    plan = native.compile_plan(schema)

    assert plan.encode(value) == golden
    assert repr(plan.decode(golden)) == repr(value)
    assert plan.encode(value, b"frame") == b"frame" + golden
    assert repr(plan.decode(b"frame" + golden, 5)) == repr(value)


@pytest.mark.parametrize(
    ("schema", "value", "read"),
    [
        ({"type": "array", "items": "int"}, b"\x03\x04\x02\x04\x00", [1, 2]),
        ({"type": "array", "items": "int"}, b"\x02\x02\x02\x04\x01\x02\x06\x00", [1, 2, 3]),
        ({"type": "map", "values": "int"}, b"\x01\x06\x02a\x02\x02\x02b\x04\x00", {"a": 1, "b": 2}),
        ("boolean", b"\x07", True),
        ("int", b"\x82\x00", 1),
        (CENTS, b"\x00", Decimal("0.00")),
        (CENTS, b"\x08\xff\xff\xff\xff", Decimal("-0.01")),
    ],
)
def test_what_other_writers_write_is_read(schema: Any, value: bytes, read: Any) -> None:
    assert repr(native.compile_plan(schema).decode(value)) == repr(read)


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=2)), timezone(-timedelta(hours=9, minutes=30))])
def test_a_time_of_another_zone_is_the_same_instant(zone: timezone) -> None:
    plan = native.compile_plan(logical("long", "timestamp-micros"))
    instant = datetime(2026, 3, 1, 1, 2, 3, 4, tzinfo=UTC)

    assert plan.encode(instant.astimezone(zone)) == plan.encode(instant)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (CENTS, Decimal("0.001")),
        (CENTS, Decimal("1000000.00")),
        (CENTS, Decimal("NaN")),
        (CENTS, Decimal("-Infinity")),
        (CENTS, Decimal("1E+30")),
        (CENTS, 1),
        (LONG, Decimal(10**30)),
        (FOUR, Decimal("21474836.48")),
        ("int", True),
        ("int", 2**31),
        ("long", 2**63),
        ("long", 1.0),
        ("float", 1e300),
        ("double", 10**400),
        ("string", b"a"),
        ("string", "\ud800"),
        ("bytes", "a"),
        (fixed(2), b"a"),
        ("boolean", 1),
        ("null", 0),
        (logical("long", "timestamp-micros"), datetime(2026, 1, 1)),  # noqa: DTZ001 - that is what is wrong with it
        (["null", "int"], "a"),
        (["int", {"type": "array", "items": "int"}], (1,)),
        ({"type": "map", "values": "int"}, {1: 1}),
        (PAIR, {"a": 1}),
        (PAIR, [1, "a"]),
    ],
)
def test_a_value_that_does_not_fit_is_not_written(schema: Any, value: Any) -> None:
    with pytest.raises(avro.AvroError):
        native.compile_plan(schema).encode(value)


def test_the_refusal_of_a_value_names_its_place_and_not_the_value() -> None:
    plan = native.compile_plan({"type": "array", "items": PAIR})

    with pytest.raises(avro.AvroError) as refused:
        plan.encode([{"a": 1, "b": "x"}, {"a": 1, "b": 4711}])

    assert refused.value.path == "[1].b"
    assert "4711" not in str(refused.value)


def test_a_field_that_is_left_out_gets_its_default() -> None:
    fields = [{"name": "a", "type": "int", "default": 7}, {"name": "b", "type": ["null", "int"]}]
    plan = native.compile_plan({"type": "record", "name": "R", "fields": fields})

    assert plan.encode({}) == b"\x0e\x00"
