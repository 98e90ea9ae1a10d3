"""Columns of one schema from the bytes of another: the reader's columns, whoever wrote."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

from mainstem.codec.native.loading import Table  # noqa: E402 - only where the extension was built
from tests.unit.codec.native.arrow import FRAME, MAX_BYTES, array_of, load, rows_of  # noqa: E402


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


def record(*fields: dict[str, Any], name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name: str, of: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": of, **more}


CENTS = logical("bytes", "decimal", precision=8, scale=2)
RED = {"type": "enum", "name": "E", "symbols": ["RED", "GREEN"]}


def read(writer: Any, value: Any, reader: Any) -> Any:
    columns = load(writer, [native.compile_plan(writer).encode(value)], reader)
    assert columns.refused == []
    return rows_of(reader, columns)[0]


@pytest.mark.parametrize(
    ("writer", "value", "reader", "expected"),
    [
        ("int", 7, "long", 7),
        ("int", 7, "float", 7.0),
        ("int", 7, "double", 7.0),
        ("long", 7, "float", 7.0),
        ("long", 2**60, "double", float(2**60)),
        ("float", 0.5, "double", 0.5),
        ("string", "é", "bytes", "é".encode()),
        ("bytes", b"a", "string", "a"),
        ("int", 7, ["null", "int"], 7),
        ("int", 7, ["null", "string", "long"], 7),
        (["null", "int"], None, ["string", "null", "long"], None),
        (["null", "int"], 7, ["string", "null", "long"], 7),
        (["int", "string"], "a", ["string", "long"], "a"),
        (["null", "int"], 7, "int", 7),
        (["int", "long"], 2**40, "double", float(2**40)),
        ("long", 2**40, ["int", "long"], 2**40),
        (RED, "GREEN", {**RED, "symbols": ["GREEN", "BLUE", "RED"]}, "GREEN"),
        (RED, "GREEN", {**RED, "symbols": ["NONE", "RED"], "default": "NONE"}, "NONE"),
        ("int", 1, logical("int", "date"), date(1970, 1, 2)),
        (logical("int", "date"), date(1970, 1, 2), "int", 1),
        (logical("int", "date"), date(1970, 1, 2), "long", 1),
        ("long", 0, logical("long", "timestamp-micros"), datetime(1970, 1, 1, tzinfo=UTC)),
        ("bytes", b"\x64", CENTS, Decimal("1.00")),
        (CENTS, Decimal("1.00"), "bytes", b"\x64"),
        (CENTS, Decimal("1.00"), logical("bytes", "decimal", precision=40, scale=2), Decimal("1.00")),
    ],
)
def test_a_value_is_what_its_type_says_in_the_readers_schema(
    writer: Any, value: Any, reader: Any, expected: Any
) -> None:
    assert repr(read(writer, value, reader)) == repr(expected)


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (logical("long", "timestamp-millis"), logical("long", "timestamp-micros")),
        (logical("int", "date"), logical("int", "time-millis")),
        (CENTS, logical("bytes", "decimal", precision=8, scale=3)),
        ("int", logical("long", "timestamp-millis")),
    ],
)
def test_schemas_that_say_different_things_of_the_same_bytes_are_refused(writer: Any, reader: Any) -> None:
    with pytest.raises(native.Unsupported, match="is not read as"):
        Table(reader).loader(writer)


def test_a_decimal_of_more_digits_than_the_readers_schema_has_is_refused() -> None:
    encoded = native.compile_plan(CENTS).encode(Decimal("999.99"))

    columns = load(CENTS, [encoded], logical("bytes", "decimal", precision=4, scale=2))

    assert "more digits" in str(columns.refused[0][1])


def test_fields_are_found_by_name_and_the_others_passed_over() -> None:
    writer = record(
        field("a", {"type": "array", "items": "string"}), field("b", "int"), field("c", "string"), field("d", "long")
    )
    reader = record(field("e", "long", aliases=["d"]), field("b", "double"))

    assert read(writer, {"a": ["x"], "b": 1, "c": "y", "d": 4}, reader) == {"e": 4, "b": 1.0}


DEFAULTS: list[tuple[Any, Any, Any]] = [
    ("null", None, None),
    ("boolean", True, True),
    ("int", -3, -3),
    ("long", 2**62, 2**62),
    ("float", 1, 1.0),
    ("double", 0.25, 0.25),
    ("string", "é", "é"),
    ("bytes", "ÿ", b"\xff"),
    ({"type": "fixed", "name": "F", "size": 2}, "aÿ", b"a\xff"),
    (RED, "GREEN", "GREEN"),
    (CENTS, "d", Decimal("1.00")),
    (logical("int", "date"), 1, date(1970, 1, 2)),
    (["null", "int"], None, None),
    (["int", "null"], 7, 7),
    (["null", "string", "int"], 7, 7),
    ({"type": "array", "items": "int"}, [1, 2], [1, 2]),
    ({"type": "array", "items": "int"}, [], []),
    ({"type": "map", "values": "string"}, {"k": "v"}, {"k": "v"}),
    (record(field("x", "int"), field("y", "string", default="z"), name="In"), {"x": 1}, {"x": 1, "y": "z"}),
]


@pytest.mark.parametrize(("of", "default", "expected"), DEFAULTS)
def test_a_field_that_the_writer_does_not_have_is_its_default(of: Any, default: Any, expected: Any) -> None:
    reader = record(field("a", "int"), field("b", of, default=default))

    assert repr(read(record(field("a", "int")), {"a": 1}, reader)) == repr({"a": 1, "b": expected})


@pytest.mark.parametrize(("of", "default"), [("int", 2**31), ("int", True), ("bytes", "€"), (RED, "PINK")])
def test_a_default_that_does_not_fit_is_refused(of: Any, default: Any) -> None:
    with pytest.raises(native.Unsupported, match="default"):
        Table(record(field("a", "int"), field("b", of, default=default))).loader(record(field("a", "int")))


def test_many_defaults_are_paid_for_as_if_they_were_sent() -> None:
    many = {"type": "array", "items": "long"}
    writer = {"type": "array", "items": record(field("a", "int"))}
    reader = {"type": "array", "items": record(field("a", "int"), field("b", many, default=[0] * 10_000))}
    encoded = native.compile_plan(writer).encode([{"a": 1}] * 1000)

    columns = load(writer, [encoded], reader, max_memory=100_000_000)

    assert "too many values" in str(columns.refused[0][1])


def test_a_value_that_no_branch_takes_is_refused_and_the_others_are_read() -> None:
    writer = ["null", "int", "string"]
    plan = native.compile_plan(writer)

    columns = load(writer, [plan.encode(value) for value in (None, 1, "x", 2)], ["null", "long"])

    assert array_of(columns).to_pylist() == [None, 1, 2]
    assert [(number, str(error)) for number, error in columns.refused] == [
        (2, "the writer's type does not fit the reader's (byte 6)")
    ]


def test_two_writers_fill_the_same_columns_in_order() -> None:
    old, new = record(field("a", "int")), record(field("a", "long"), field("b", ["null", "string"], default=None))
    table = Table(new)
    second = b"\x00\x00\x00\x00\x02"
    first, other = native.compile_plan(old), native.compile_plan(new)
    values = [FRAME + first.encode({"a": 1}), second + other.encode({"a": 2, "b": "x"}), FRAME + first.encode({"a": 3})]

    columns = avro.decode_columns(values, {1: table.loader(old), 2: table.loader()}, table.layout, repr, MAX_BYTES)

    assert pa.record_batch(columns).to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": "x"}, {"a": 3, "b": None}]
