"""The compiled writer against fastavro: the same bytes, or the value is left to fastavro."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from mainstem.codec.avro import Encoder
from mainstem.codec.avro_write import NOT_PLAIN, compile_writer
from mainstem.errors import Rejected

MICROS = {"type": "long", "logicalType": "timestamp-micros"}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}
DAY = {"type": "int", "logicalType": "date"}
FIXED = {"type": "fixed", "name": "four", "size": 4}
FIRST, LAST = (
    datetime(1, 1, 3, tzinfo=UTC).replace(tzinfo=None),
    datetime(9999, 12, 29, tzinfo=UTC).replace(tzinfo=None),
)
ENUM = {"type": "enum", "name": "colour", "symbols": ["RED", "GREEN"]}

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.decimals(),
    st.datetimes(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("float", st.floats(width=32)),
    ("double", st.floats()),
    ("string", st.text(max_size=200)),
    ("bytes", st.binary(max_size=200)),
    (MICROS, st.datetimes(min_value=FIRST, max_value=LAST, timezones=st.just(UTC))),
    (MONEY, st.decimals(-999999, 999999, places=2)),
    (DAY, st.dates()),
    (FIXED, st.binary(min_size=4, max_size=4)),
    (ENUM, st.sampled_from(["RED", "GREEN"])),
]


@st.composite
def cases(draw: st.DrawFn, depth: int = 3) -> tuple[Any, st.SearchStrategy[Any]]:
    """A schema and a strategy for its values."""
    kind = draw(st.sampled_from(["leaf", "array", "map", "nullable", "record"] if depth else ["leaf"]))
    if kind == "leaf":
        leaf: tuple[Any, st.SearchStrategy[Any]] = draw(st.sampled_from(LEAVES))
        return leaf
    schema, values = draw(cases(depth - 1))
    if kind == "array":
        return {"type": "array", "items": schema}, st.lists(values, max_size=3)
    if kind == "map":
        return {"type": "map", "values": schema}, st.dictionaries(st.text(max_size=3), values, max_size=3)
    if kind == "nullable" and not isinstance(schema, list) and schema != "null":
        return draw(st.sampled_from([["null", schema], [schema, "null"]])), st.none() | values
    return {"type": "record", "name": f"level{depth}", "fields": [{"name": "x", "type": schema}]}, st.builds(
        lambda value: {"x": value}, values
    )


def record(schema: Any) -> dict[str, Any]:
    return {"type": "record", "name": "outer", "fields": [{"name": "value", "type": schema}]}


def by_fastavro(definition: dict[str, Any], value: Any) -> bytes | None:
    buffer = BytesIO()
    try:
        schemaless_writer(buffer, parse_schema(definition), {"value": value})
    except Exception:  # noqa: BLE001 - whatever it raises: it refuses
        return None
    return buffer.getvalue()


@given(cases(), st.data())
def test_what_fits_is_written_as_fastavro_writes_it(
    case: tuple[Any, st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    definition = record(case[0])
    value = data.draw(case[1])
    write = compile_writer(definition)
    assert write is not None

    written = None
    with suppress(*NOT_PLAIN):
        written = write({"value": value})

    assert written is None or written == by_fastavro(definition, value)


@given(st.sampled_from(LEAVES), odd)
def test_what_does_not_fit_is_refused_or_written_as_fastavro_writes_it(
    leaf: tuple[Any, st.SearchStrategy[Any]], value: object
) -> None:
    definition = record(leaf[0])
    write = compile_writer(definition)
    assert write is not None

    written = None
    with suppress(*NOT_PLAIN):
        written = write({"value": value})

    if written is not None and by_fastavro(definition, value) is None:
        assert isinstance(value, Decimal)  # 1.000 in two places: no digit is cut, though fastavro refuses it
        assert value == value.quantize(Decimal("0.01"))
    else:
        assert written is None or written == by_fastavro(definition, value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("int", 7),
        (["null", "string"], "text"),
        (MONEY, Decimal("-5.12")),
        (MONEY, Decimal(0)),
        (MICROS, datetime(2017, 1, 2, 5, 5, 54, 123456, tzinfo=UTC)),
        (MICROS, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (DAY, date(2017, 1, 2)),
        (ENUM, "GREEN"),
        ({"type": "array", "items": "long"}, [0, -1, 2**62]),
    ],
)
def test_what_is_usual_takes_the_short_way(schema: Any, value: object) -> None:
    write = compile_writer(record(schema))

    assert write is not None
    assert write({"value": value}) == by_fastavro(record(schema), value)


@pytest.mark.parametrize(
    "value", [Decimal("0.001"), Decimal("1000000"), Decimal("NaN"), Decimal("Infinity"), 1, True, 1.0]
)
def test_a_decimal_that_would_lose_digits_or_is_none_is_not_written(value: object) -> None:
    write = compile_writer(record(MONEY))
    assert write is not None
    write({"value": Decimal(1)})

    with pytest.raises(NOT_PLAIN):
        write({"value": value})


def test_what_is_left_out_gets_its_default_from_fastavro() -> None:
    definition = {**record("int"), "fields": [{"name": "value", "type": "int", "default": 7}]}

    assert Encoder("t.t.v1", definition, 1).encode({}) == b"\0\0\0\0\x01\x0e"


def test_unions_of_several_types_are_fastavros() -> None:
    definition = record(["null", "int", "string"])

    assert compile_writer(definition) is None
    assert Encoder("t.t.v1", definition, 1).encode({"value": "x"}) == b"\0\0\0\0\x01\x04\x02x"


def test_a_record_that_contains_itself_is_fastavros() -> None:
    inner = {"type": "record", "name": "node", "fields": [{"name": "next", "type": ["null", "node"]}]}

    assert compile_writer(inner) is None


def test_a_refusal_still_names_the_field() -> None:
    with pytest.raises(Rejected, match="value"):
        Encoder("t.t.v1", record("int"), 1).encode({"value": "seven"})
