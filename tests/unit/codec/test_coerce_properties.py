"""Whatever the coercer returns, fastavro encodes, and reads back as the same."""

from __future__ import annotations

import math
from base64 import b64encode
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstem.codec.coerce import Coercer
from mainstem.errors import RequestRefused
from tests.thorough import examples

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS)  # noqa: DTZ001 - bounds have none


def logical(kind: str, name: str) -> dict[str, Any]:
    return {"type": kind, "logicalType": name}


def money(precision: int, scale: int) -> tuple[Any, st.SearchStrategy[Any]]:
    avro = {**logical("bytes", "decimal"), "precision": precision, "scale": scale}
    unscaled = st.integers(1 - 10**precision, 10**precision - 1)
    value = unscaled.map(lambda n: Decimal(f"{n}E-{scale}"))
    return avro, value | value.map(lambda d: f"{d:f}") | st.integers(0, 10 ** (precision - scale) - 1)


LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("string", TEXT),
    ("int", st.integers(-(2**31), 2**31 - 1) | st.integers(-(2**31), 2**31 - 1).map(str)),
    ("long", st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**63), 2**63 - 1).map(str)),
    ("double", st.floats() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False).map(repr)),
    ("boolean", st.booleans() | st.sampled_from(["true", "False"])),
    ("bytes", st.binary(max_size=8) | st.binary(max_size=8).map(lambda b: b64encode(b).decode())),
    (logical("long", "timestamp-micros"), INSTANTS | INSTANTS.map(datetime.isoformat)),
    (logical("long", "timestamp-millis"), INSTANTS | INSTANTS.map(datetime.isoformat)),
    (logical("long", "local-timestamp-micros"), st.datetimes() | st.datetimes().map(datetime.isoformat)),
    (logical("int", "date"), st.dates() | st.dates().map(date.isoformat)),
    (logical("int", "time-millis"), st.times() | st.times().map(time.isoformat)),
    (logical("long", "time-micros"), st.times() | st.times().map(time.isoformat)),
    (logical("string", "uuid"), st.uuids() | st.uuids().map(str)),
    money(12, 2),
    money(4, 0),
    money(3, 3),
]


@st.composite
def typed_values(draw: st.DrawFn, depth: int = 2) -> tuple[Any, Any]:
    """A type without named parts, and a value that fits it."""
    avro, values = draw(st.sampled_from(LEAVES))
    match draw(st.sampled_from(["leaf", "nullable", "array", "map"] if depth else ["leaf"])):
        case "nullable":
            return ["null", avro], draw(st.none() | values)
        case "array":
            return {"type": "array", "items": avro}, draw(st.lists(values, max_size=3))
        case "map":
            return {"type": "map", "values": avro}, draw(st.dictionaries(TEXT, values, max_size=3))
    return avro, draw(values)


@st.composite
def records(draw: st.DrawFn, depth: int = 1, name: str = "thing") -> tuple[dict[str, Any], dict[str, Any]]:
    """A record schema with up to four fields, one of them a record perhaps, and data that fits it."""
    fields = draw(st.lists(typed_values(), min_size=1, max_size=4))
    if depth and draw(st.booleans()):
        fields.append(draw(records(depth - 1, f"{name}_part")))
    schema = [{"name": f"f{n}", "type": avro} for n, (avro, _) in enumerate(fields)]
    return {"type": "record", "name": name, "fields": schema}, {f"f{n}": value for n, (_, value) in enumerate(fields)}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["1", "1.5", "true"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["f0", "f1", "f2"]), inner, max_size=3),
    max_leaves=8,
)


def read_back(schema: dict[str, Any], data: Any) -> Any:
    buffer = BytesIO()
    schemaless_writer(buffer, parse_schema(schema), data)
    buffer.seek(0)
    return schemaless_reader(buffer, parse_schema(schema), None)


def same(left: Any, right: Any) -> bool:
    """Equality in which NaN equals itself."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right and type(left) is type(right))


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records())
def test_data_that_fits_encodes_and_reads_back_as_it_was_coerced(
    example: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    schema, data = example
    coercer = Coercer(schema)

    converted = coercer.coerce(data)

    assert same(read_back(schema, converted), converted)
    assert same(coercer.coerce(converted), converted)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records(), st.dictionaries(st.sampled_from(["f0", "f1", "f2", "f3", "g"]), JSON, max_size=4))
def test_data_of_any_shape_is_refused_or_encodes(example: tuple[dict[str, Any], Any], replaced: dict[str, Any]) -> None:
    schema, data = example
    mixed = {**data, **replaced}

    try:
        converted = Coercer(schema).coerce(mixed)
    except RequestRefused as refusal:
        assert refusal.fields
    else:
        assert same(read_back(schema, converted), converted)


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_no_float_becomes_a_decimal(value: float) -> None:
    avro, _ = money(12, 2)
    coercer = Coercer({"type": "record", "name": "thing", "fields": [{"name": "amount", "type": avro}]})

    try:
        coercer.coerce({"amount": value})
    except RequestRefused as refusal:
        assert [error.field for error in refusal.fields] == ["amount"]
    else:
        raise AssertionError("a float was taken for money")


@given(INSTANTS)
def test_an_instant_keeps_its_moment_and_is_in_utc(value: datetime) -> None:
    schema = {
        "type": "record",
        "name": "thing",
        "fields": [{"name": "at", "type": logical("long", "timestamp-micros")}],
    }

    converted = Coercer(schema).coerce({"at": value})["at"]

    assert converted == value
    assert converted.tzinfo is UTC
