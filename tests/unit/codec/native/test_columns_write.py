"""Arrow columns to Avro: the bytes that rows make, whoever made the columns."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow")
native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

from mainstem.codec.native.loading import Table  # noqa: E402 - only where the extension was built
from tests.unit.codec.native.arrow import FRAME, array_of, load  # noqa: E402
from tests.unit.codec.native.schemas import cases, has_union  # noqa: E402
from tests.unit.codec.native.test_columns import LINE, RED, TYPES, logical, record  # noqa: E402
from tests.unit.codec.native.test_differential import PAIRS, acceptable  # noqa: E402

CENTS = logical("bytes", "decimal", precision=8, scale=2)


def write(schema: Any, array: Any) -> list[Any]:
    return list(avro.encode_columns(array, Table(schema).loader(), FRAME))


@pytest.mark.parametrize(("schema", "arrow", "value"), TYPES)
def test_a_type_is_written_as_it_is_read(schema: Any, arrow: Any, value: Any) -> None:
    encoded = native.compile_plan(schema).encode(value)
    array = array_of(load(schema, [encoded] * 3))

    written = write(schema, array)

    assert written == [FRAME + encoded] * 3
    assert write(schema, array.slice(1)) == written[1:]
    assert write(schema, load(schema, [encoded])) == written[:1]


@PAIRS
@given(cases(), st.data())
def test_what_was_read_is_written_as_it_was(case: Any, data: st.DataObject) -> None:
    schema = case[0]
    values = [acceptable(schema, value) for value in data.draw(st.lists(case[1], max_size=5))]
    start = data.draw(st.integers(0, len(values)))
    columns = load(schema, list(values))

    written = write(schema, columns)

    assert written == [FRAME + shortest(schema, value) for value in values]
    assert write(schema, array_of(columns).slice(start)) == written[start:]


def shortest(schema: Any, value: bytes) -> bytes:
    """Without the leading zeros that fastavro writes of bytes that it takes for a decimal, where a union has both."""
    if not (has_union(schema) and "decimal" in repr(schema)):
        return value
    table = Table(schema)
    columns = avro.decode_columns([FRAME + value], {1: table.loader()}, table.layout, repr, len(value) + len(FRAME))
    (written,) = write(schema, columns)
    assert repr(native.compile_plan(schema).decode(written, len(FRAME))) == repr(
        native.compile_plan(schema).decode(value)
    )
    return bytes(written[len(FRAME) :]) if len(written) < len(FRAME) + len(value) else value


def test_a_decimal_is_written_in_as_few_bytes_as_hold_it() -> None:
    zero = load(CENTS, [b"\x12" + bytes(9), b"\x00", b"\x06\xff\xff\x80"])

    assert write(CENTS, zero) == [FRAME + b"\x02\x00", FRAME + b"\x02\x00", FRAME + b"\x04\xff\x80"]


def test_a_record_batch_of_other_types_is_cast_by_its_maker() -> None:
    schema = record("R", ("n", "int"), ("colour", RED), ("net", CENTS), ("at", logical("long", "timestamp-millis")))
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    given = {"n": [7], "colour": ["GREEN"], "net": [Decimal("5.1")], "at": [at]}

    batch = pa.RecordBatch.from_pydict(given)

    row = {"n": 7, "colour": "GREEN", "net": Decimal("5.10"), "at": at}
    assert write(schema, batch) == [FRAME + native.compile_plan(schema).encode(row)]


def test_a_dictionary_has_its_own_order() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None], pa.int32()), ["BLUE", "RED", "PINK"])
    plan = native.compile_plan(["null", RED])

    *written, none = write(["null", RED], array)

    assert written[:2] == [FRAME + plan.encode("BLUE"), FRAME + plan.encode("RED")]
    assert "symbols" in str(written[2])
    assert none == FRAME + plan.encode(None)


def test_a_row_that_does_not_fit_is_named_and_the_others_are_written() -> None:
    schema = record("R", ("a", {"type": "array", "items": ["null", LINE]}), ("d", logical("int", "date")))
    line = pa.struct([("sku", pa.string()), ("n", pa.int32())])
    rows = [
        {"a": [{"sku": "x", "n": 1}, None], "d": 1},
        {"a": [{"sku": "x", "n": 1}, {"sku": None, "n": 2}], "d": 1},
        {"a": [], "d": 2**31 - 1},
        {"a": None, "d": 1},
    ]
    types = pa.struct([("a", pa.list_(pa.field("item", line))), ("d", pa.date32())])

    good, *bad = write(schema, Whole(pa.array(rows, types)))

    assert good == FRAME + native.compile_plan(schema).encode(
        {"a": [{"sku": "x", "n": 1}, None], "d": date(1970, 1, 2)}
    )
    assert [error.path for error in bad] == ["a[1].sku", "d", "a"]
    assert not any("2147483647" in str(error) for error in bad)


class Whole:
    """Gives its array as it is, whatever is asked for."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return self._array.__arrow_c_array__()


@pytest.mark.parametrize(
    ("schema", "array"),
    [
        ("int", pa.array([1], pa.int64())),
        ("string", pa.array(["a"], pa.large_string())),
        (RED, pa.array(["RED"])),
        (LINE, pa.array([{"sku": "a"}])),
        (LINE, pa.array([{"n": 1, "sku": "a"}], pa.struct([("n", pa.int32()), ("sku", pa.string())]))),
        (CENTS, pa.array([Decimal("1.000")], pa.decimal128(8, 3))),
    ],
)
def test_columns_of_other_types_that_nobody_casts_are_refused(schema: Any, array: Any) -> None:
    with pytest.raises(TypeError, match="columns with another"):
        write(schema, Whole(array))


@pytest.mark.parametrize("value", [None, 7, "text", [1]])
def test_what_is_no_arrow_array_is_refused(value: Any) -> None:
    with pytest.raises((AttributeError, TypeError)):
        write("int", value)


def test_a_loader_of_another_writer_does_not_write() -> None:
    table = Table("long")

    with pytest.raises(ValueError, match="only reads"):
        avro.encode_columns(pa.array([1]), table.loader("int"), FRAME)


def test_text_that_is_not_utf8_is_not_written() -> None:
    array = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])

    assert "UTF-8" in str(write("string", array)[0])


def test_a_decimal_of_too_many_digits_is_not_written() -> None:
    array = pa.array([Decimal(10**9)], pa.decimal128(10, 0))
    narrow = pa.Array.from_buffers(pa.decimal128(8, 2), 1, array.buffers())

    assert "more digits" in str(write(CENTS, narrow)[0])
