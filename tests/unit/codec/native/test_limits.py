"""Hostile bytes: one exception, with the place; no crash, no time and no memory beyond their bounds."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import examples

native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

LINE = {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}, {"name": "n", "type": "int"}]}
ORDER = {"type": "record", "name": "Order", "fields": [{"name": "lines", "type": {"type": "array", "items": LINE}}]}
NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
LOOP = {"type": "record", "name": "Loop", "fields": [{"name": "next", "type": "Loop"}]}
NESTED = {
    "type": "record",
    "name": "Nested",
    "fields": [{"name": "inner", "type": {"type": "array", "items": "Nested"}}],
}
EMPTY = {"type": "record", "name": "Empty", "fields": []}
ENUM = {"type": "enum", "name": "E", "symbols": ["A"]}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def logical(kind: str, name: str) -> dict[str, Any]:
    return {"type": kind, "logicalType": name}


def long(number: int) -> bytes:
    return bytes(native.compile_plan("long").encode(number))


def refusal(schema: Any, value: bytes, **limits: int) -> Any:
    with pytest.raises(avro.AvroError) as refused:
        native.compile_plan(schema, **limits).decode(value)
    return refused.value


BAD: list[tuple[Any, bytes, str]] = [
    ("int", b"", "end within a number"),
    ("int", b"\x80", "end within a number"),
    ("int", b"\x80\x80\x80\x80\x10", "more than 32 bits"),
    ("long", b"\xff" * 9 + b"\x02", "more than 64 bits"),
    ("long", b"\x80" * 10 + b"\x00", "more than 64 bits"),
    ("float", b"\x00\x00\x00", "end within a value"),
    ("double", b"\x00" * 7, "end within a value"),
    ("boolean", b"", "end within a value"),
    ("string", b"\x04a", "end within a value"),
    ("string", b"\x01", "negative length"),
    ("string", long(2**62), "end within a value"),
    ("string", b"\x02\xff", "not UTF-8"),
    ("string", b"\x04\xc0\x80", "not UTF-8"),
    ("string", b"\x06\xed\xa0\x80", "not UTF-8"),
    ("bytes", long(-(2**63)), "negative length"),
    (ENUM, b"\x02", "without a symbol"),
    (ENUM, b"\x01", "without a symbol"),
    (["null", "int"], b"\x04", "without a branch"),
    (["null", "int"], b"\x01", "without a branch"),
    (array("int"), long(2**62), "more items than bytes"),
    (array("int"), long(-(2**63)), "bad number of items"),
    (array("null"), long(2**40), "too many values"),
    (array(EMPTY), long(2**40), "too many values"),
    ({"type": "map", "values": "null"}, long(2**40), "more items than bytes"),
    (logical("int", "date"), long(2**30), "years 1 to 9999"),
    (logical("long", "timestamp-micros"), long(2**62), "years 1 to 9999"),
    (logical("long", "timestamp-millis"), long(-(2**63)), "years 1 to 9999"),
    (logical("int", "time-millis"), long(86_400_000), "outside of the day"),
    (logical("long", "time-micros"), long(-1), "outside of the day"),
    (logical("string", "uuid"), b"\x02x", "no UUID"),
    (LOOP, b"", "nested too deep"),
    ("int", b"\x02\x02", "1 bytes are left"),
]


@pytest.mark.parametrize(("schema", "value", "said"), BAD)
def test_bad_bytes_are_refused(schema: Any, value: bytes, said: str) -> None:
    assert said in str(refusal(schema, value))


def test_the_refusal_names_the_place() -> None:
    refused = refusal(ORDER, b"\x04\x02a\x02\x02\xff\x02\x00")

    assert refused.path == "lines[1].sku"
    assert refused.offset == 6
    assert str(refused) == "text that is not UTF-8 at lines[1].sku (byte 6)"


@pytest.mark.parametrize("schema", [NODE, NESTED])
def test_a_deep_value_is_refused_and_a_shallow_one_is_read(schema: Any) -> None:
    plan = native.compile_plan(schema)
    plan.decode(b"\x02" * 30 + b"\x00" * 31 if schema is NESTED else b"\x02" * 30 + b"\x00")

    assert "nested too deep" in str(refusal(schema, b"\x02" * 1_000_000))


def test_a_deep_value_is_not_written() -> None:
    value: dict[str, Any] = {"next": None}
    for _ in range(100_000):
        value = {"next": value}

    with pytest.raises(avro.AvroError, match="nested too deep"):
        native.compile_plan(NODE).encode(value)

    while value["next"]:  # else its deletion would be as deep
        value = value["next"]


def test_few_bytes_cannot_claim_much_memory() -> None:
    schema = array(array(array("boolean")))
    value = long(1_000_000) + b"\x00" * 1_000_001

    tracemalloc.start()
    assert "too many values" in str(refusal(schema, value, max_memory=16_000_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 40_000_000


def test_a_megabyte_of_small_records_is_within_the_bounds() -> None:
    point = {"type": "record", "name": "P", "fields": [{"name": n, "type": "int"} for n in "abcd"]}
    value = native.compile_plan(array(point)).encode([dict.fromkeys("abcd", 1)] * 250_000)

    assert len(native.compile_plan(array(point)).decode(value)) == 250_000


def test_a_large_value_of_usual_make_is_within_the_bounds() -> None:
    value = native.compile_plan(array("string")).encode(["x" * 100] * 80_000)

    assert len(native.compile_plan(array("string")).decode(value)) == 80_000


@pytest.mark.parametrize("value", ["text", None, 7, bytearray(b"\x02"), memoryview(b"\x02")])
def test_only_bytes_are_read(value: Any) -> None:
    with pytest.raises(TypeError):
        native.compile_plan("int").decode(value)


@pytest.mark.parametrize("start", [-(2**60), -1, 2, 2**60])
def test_a_start_outside_of_the_bytes_is_no_crash(start: int) -> None:
    plan = native.compile_plan("int")
    try:
        assert plan.decode(b"\x02", start) == 1
    except avro.AvroError:
        assert start > 0


WIDE = {
    "type": "record",
    "name": "Wide",
    "fields": [
        {"name": "a", "type": array(["null", "string", LINE])},
        {"name": "b", "type": {"type": "map", "values": array("bytes")}},
        {"name": "c", "type": {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 5}},
        {"name": "d", "type": logical("long", "timestamp-millis")},
        {"name": "e", "type": ENUM},
        {"name": "f", "type": ["null", "Line"]},
    ],
}
HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\x00", b"\x01", b"\x02", b"\x04ab", b"\x7f", b"\xff", long(2**31)]), max_size=60).map(
        b"".join
    ),
)


@settings(max_examples=examples(400), deadline=None)
@given(HOSTILE)
def test_any_bytes_are_refused_or_read(value: bytes) -> None:
    plan = native.compile_plan(WIDE)
    try:
        read = plan.decode(value)
    except avro.AvroError as refused:
        assert 0 <= refused.offset <= len(value)
    else:
        assert plan.decode(plan.encode(read)) == read


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [()],
        [("int",)],
        ["int"],
        [native.Node("unheard-of")],
        [native.Node("array")],
        [native.Node("array", children=(5,))],
        [native.Node("array", children=(-1,))],
        [native.Node("record", names=("a",), skipped=b"\x00")],
        [native.Node("enum", names=("a",))],
        [native.Node("fixed", size=-1)],
        [native.Node("int", cost=0)],
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(nodes: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        avro.Plan(nodes, 10, 10)
