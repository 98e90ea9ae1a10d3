"""Rows of binary COPY: byte for byte what psycopg writes for the values that decoding makes, or nothing."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import adapters, postgres, pq

native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

from mainstem.codec.native.copying import _CELLS, Records  # noqa: E402 - only where it was built
from mainstem.codec.native.plan import Unsupported  # noqa: E402
from tests.unit.codec.native.schemas import PLAIN, SYMBOLS, decimals, logical  # noqa: E402
from tests.unit.codec.native.test_differential import PAIRS  # noqa: E402

FRAME = b"\x00\x00\x00\x00\x07"
HEADER, TRAILER = b"PGCOPY\n\xff\r\n\x00" + bytes(8), b"\xff\xff"
MAX_BYTES = 1 << 20
NULLABLE_TEXT = ["null", "string"]
ENUM = {"type": "enum", "name": "colour", "symbols": SYMBOLS}
FIXED = {"type": "fixed", "name": "digest", "size": 9}
WIDE = logical("bytes", "decimal", precision=76, scale=75)
TYPES = [
    *PLAIN,
    (ENUM, st.sampled_from(SYMBOLS)),
    (FIXED, st.binary(min_size=9, max_size=9)),
    ({**FIXED, "logicalType": "decimal", "precision": 20, "scale": 3}, decimals(20, 3)),
    (WIDE, decimals(28, 75)),
    (logical("bytes", "decimal", precision=3, scale=3), decimals(3, 3)),
]


def record(fields: Mapping[str, Any], **more: Mapping[str, Any]) -> Any:
    return {
        "type": "record",
        "name": "row",
        "fields": [{"name": name, "type": type_, **more.get(name, {})} for name, type_ in fields.items()],
    }


def written(schema: Any, *rows: Mapping[str, Any], frame: bytes = FRAME) -> list[bytes]:
    values = []
    for row in rows:
        buffer = BytesIO()
        fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), row)
        values.append(frame + buffer.getvalue())
    return values


def copied(
    schema: Any, cells: Mapping[str, str], values: list[Any], *, key: Sequence[int] = (), numbered: bool = False
) -> Any:
    plan = Records(schema).copy_plan(cells)
    return avro.copy_rows(values, {7: plan}, MAX_BYTES, numbered, tuple(key))


def by_psycopg(cells: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    lines = bytearray(HEADER)
    for row in rows:
        lines += struct.pack(">h", len(cells))
        for name, cell in cells.items():
            if row[name] is None:
                lines += b"\xff\xff\xff\xff"
                continue
            dumper = adapters.get_dumper_by_oid(postgres.types[cell].oid, pq.Format.BINARY)
            made = bytes(dumper(type(row[name]), None).dump(row[name]) or b"")
            lines += struct.pack(">i", len(made)) + made
    return bytes(lines) + TRAILER


def kind_of(schema: Any) -> str:
    return str(Records(record({"f": schema}))._nodes[1].kind)


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """A schema, its columns, and rows; a numeric column takes integers too, and any field may have nulls."""
    fields, cells, values = {}, {}, {}
    for number in range(draw(st.integers(1, 5))):
        schema, value = draw(st.sampled_from(TYPES))
        if isinstance(schema, dict) and "name" in schema:
            schema = {**schema, "name": f"T{number}"}
        name = f"f{number}"
        cells[name] = draw(st.sampled_from(sorted(_CELLS[kind_of(schema)])))
        nullable = draw(st.booleans())
        fields[name] = ["null", schema] if nullable else schema
        values[name] = st.none() | value if nullable else value
    rows = draw(st.lists(st.fixed_dictionaries(values), min_size=1, max_size=4))
    return record(fields), cells, rows


@PAIRS
@given(tables())
def test_rows_are_what_psycopg_writes_of_decoded_values(table: Any) -> None:
    schema, cells, rows = table
    values = written(schema, *rows)
    decoded = [native.compile_plan(schema).decode(value, len(FRAME)) for value in values]

    made, _ = copied(schema, cells, values)

    assert without_leading_zeros(made, cells) == without_leading_zeros(by_psycopg(cells, decoded), cells)


def without_leading_zeros(lines: bytes, cells: Mapping[str, str]) -> list[Any]:
    """The cells. psycopg guesses how many digits an integer has, and may write one group too many."""
    assert (lines[:19], lines[-2:]) == (HEADER, TRAILER)
    found: list[Any] = []
    at = 19
    while at < len(lines) - 2:
        at += 2
        for cell in cells.values():
            (size,) = struct.unpack_from(">i", lines, at)
            bytes_ = None if size < 0 else lines[at + 4 : at + 4 + size]
            at += 4 + max(size, 0)
            found.append(number_of(bytes_) if cell == "numeric" and bytes_ is not None else bytes_)
    return found


def number_of(numeric: bytes) -> tuple[Decimal, int]:
    """The exact number, and how many digits it shows behind the point."""
    count, weight, sign, scale = struct.unpack_from(">hhHH", numeric)
    digits = struct.unpack_from(f">{count}H", numeric, 8)
    unscaled = sum(digit * 10000 ** (count - 1 - place) for place, digit in enumerate(digits))
    exponent = 4 * (weight - count + 1)
    return Decimal((int(sign == 0x4000), tuple(map(int, str(unscaled))), exponent)), scale


@PAIRS
@given(tables(), st.data())
def test_damaged_bytes_are_taken_only_where_decoding_takes_them(table: Any, data: st.DataObject) -> None:
    schema, cells, rows = table
    damaged = bytearray(written(schema, rows[0])[0])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(len(FRAME), len(damaged)))
        damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    made = copied(schema, cells, [bytes(damaged)])
    if made is not None:
        decoded = native.compile_plan(schema).decode(bytes(damaged), len(FRAME))
        assert without_leading_zeros(made[0], cells) == without_leading_zeros(by_psycopg(cells, [decoded]), cells)


@pytest.mark.parametrize("bad", [None, b"", b"\x00\x00\x00\x00", b"\x01" + FRAME[1:] + b"\x02a", FRAME[:4] + b"\x08"])
def test_one_value_that_is_none_of_a_known_schema_and_nothing_is_made(bad: Any) -> None:
    schema = record({"f": "string"})
    good = written(schema, {"f": "a"})
    assert copied(schema, {"f": "text"}, good) is not None
    assert copied(schema, {"f": "text"}, [*good, bad]) is None


def test_a_value_beyond_the_limit_is_not_taken() -> None:
    schema = record({"f": "bytes"})
    plan = Records(schema).copy_plan({"f": "bytea"})
    (value,) = written(schema, {"f": bytes(100)})
    assert avro.copy_rows([value], {7: plan}, len(value), False, ()) is not None
    assert avro.copy_rows([value], {7: plan}, len(value) - 1, False, ()) is None


def test_a_decimal_that_rows_would_round_is_left_to_them() -> None:
    schema = record({"f": logical("bytes", "decimal", precision=4, scale=2)})
    value = FRAME + b"\x06" + (10**4).to_bytes(3, "big")
    assert copied(schema, {"f": "numeric"}, [FRAME + b"\x06" + (10**4 - 1).to_bytes(3, "big")]) is not None
    assert copied(schema, {"f": "numeric"}, [value]) is None


def test_a_branch_of_a_union_that_its_column_takes_otherwise_is_left_to_rows() -> None:
    schema = record({"f": ["null", "string", "long"]})
    assert copied(schema, {"f": "text"}, written(schema, {"f": "a"}, {"f": None})) is not None
    assert copied(schema, {"f": "text"}, written(schema, {"f": "a"}, {"f": 1})) is None


@pytest.mark.parametrize(
    ("type_", "cell"),
    [
        ("string", "uuid"),
        ("int", "float8"),
        ("long", "text"),
        (logical("long", "timestamp-millis"), "timestamp"),
        (logical("long", "local-timestamp-millis"), "timestamptz"),
        (logical("string", "uuid"), "text"),
        ({"type": "array", "items": "string"}, "text"),
        (record({"inner": "int"}) | {"name": "inner"}, "text"),
        (logical("bytes", "decimal", precision=77), "numeric"),
    ],
)
def test_what_psycopg_may_write_otherwise_is_unsupported(type_: Any, cell: str) -> None:
    with pytest.raises(Unsupported):
        Records(record({"f": type_})).copy_plan({"f": cell})


@pytest.mark.parametrize("cells", [{}, {"f": "text", "g": "text"}, {"g": "text"}])
def test_the_columns_are_those_of_the_fields(cells: Mapping[str, str]) -> None:
    with pytest.raises(Unsupported):
        Records(record({"f": "string"})).copy_plan(cells)


def test_an_older_writers_rows_stand_in_the_same_columns_as_the_newer_ones() -> None:
    old = record({"b": "int", "gone": {"type": "array", "items": "string"}, "a": "string"})
    defaults: Any = {"c": {"default": None}, "d": {"default": "é"}, "e": {"default": 3}, "g": {"default": True}}
    new = record(
        {"a": "string", "b": "long", "c": NULLABLE_TEXT, "d": "string", "e": "long", "g": "boolean"}, **defaults
    )
    cells = {"a": "text", "b": "int8", "c": "text", "d": "text", "e": "int8", "g": "bool"}
    plans = {7: Records(new).copy_plan(cells), 8: Records(old, new).copy_plan(cells)}
    row = {"a": "x", "b": 1, "c": None, "d": "é", "e": 3, "g": True}
    newer, older = {**row, "c": "y", "e": -1}, {"a": "x", "b": 1, "gone": ["p"]}
    values = [*written(new, newer), *written(old, older, frame=FRAME[:4] + b"\x08")]
    made, differ = avro.copy_rows(values, plans, MAX_BYTES, False, (1, 0))
    assert (made, differ) == (by_psycopg(cells, [newer, row]), False)


@pytest.mark.parametrize(
    ("type_", "default", "cell"), [("bytes", "a", "bytea"), ("double", 1, "float8"), ("string", "\ud800", "text")]
)
def test_a_default_that_psycopg_may_write_otherwise_is_unsupported(type_: Any, default: Any, cell: str) -> None:
    new = record({"a": "int", "f": type_}, f={"default": default})
    with pytest.raises(Unsupported):
        Records(record({"a": "int"}), new).copy_plan({"a": "int8", "f": cell})


def test_rows_are_numbered_from_0() -> None:
    schema = record({"f": "boolean"})
    made, _ = copied(schema, {"f": "bool"}, written(schema, *[{"f": True}] * 3), numbered=True)
    lines = [struct.pack(">hiiib", 2, 4, number, 1, 1) for number in range(3)]
    assert made == HEADER + b"".join(lines) + TRAILER


@pytest.mark.parametrize(
    ("rows", "differ"),
    [
        ([("a", 1), ("a", 2), ("b", 1)], True),
        ([("a", 1), ("b", 1), ("a", 1)], False),
        ([("", 0)], True),
        ([(None, 1), (None, 2)], True),
        ([(None, 1), (None, 1)], False),
    ],
)
def test_keys_are_compared_as_a_whole(rows: Sequence[tuple[Any, int]], differ: bool) -> None:
    schema = record({"a": NULLABLE_TEXT, "b": "int", "c": "double"})
    values = written(schema, *[{"a": a, "b": b, "c": float(n)} for n, (a, b) in enumerate(rows)])
    assert copied(schema, {"a": "text", "b": "int8", "c": "float8"}, values, key=(0, 1))[1] is differ


def test_many_different_keys_differ() -> None:
    schema = record({"a": "string"})
    values = written(schema, *[{"a": str(n)} for n in range(20_000)])
    assert copied(schema, {"a": "text"}, values, key=(0,))[1] is True
    assert copied(schema, {"a": "text"}, [*values, values[17]], key=(0,))[1] is False


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ([FRAME, FRAME + b"x", b"\x00\x00\x01\x00\x00y"], {7, 65536}),
        ([], set()),
        ([FRAME, None], None),
        ([FRAME, b"\x00\x00\x00\x00"], None),
        ([FRAME, FRAME + bytes(MAX_BYTES)], None),
    ],
)
def test_the_schemas_of_a_batch_are_told_at_once(values: list[Any], ids: Any) -> None:
    assert avro.schema_ids(values, MAX_BYTES) == ids


@pytest.mark.parametrize(
    ("targets", "constants"),
    [
        ((), ()),
        (((0, "text"), (0, "text")), ()),
        (((0, "text"), (2, "text")), ()),
        (((0, "text"), (-1, "")), ()),
        (((0, "text"), (-1, "")), ((0, b"\xff\xff\xff\xff"),)),
        (((0, "text"), (-1, "")), ((1, b"\xff"),)),
        (((0, "text"), (1, "money")), ()),
        (((0, "text"), "text"), ()),
    ],
)
def test_a_plan_that_would_leave_a_column_open_is_refused(targets: Any, constants: Any) -> None:
    plan = native.compile_plan(record({"a": "string", "b": "string"}))
    with pytest.raises(ValueError, match="copy plan"):
        avro.CopyPlan(plan, 2, targets, constants)


def test_a_key_that_is_no_column_and_plans_of_other_columns_are_errors() -> None:
    one, two = record({"a": "string"}), record({"a": "string", "b": "string"})
    plans = {7: Records(one).copy_plan({"a": "text"}), 8: Records(two).copy_plan({"a": "text", "b": "text"})}
    values = [*written(one, {"a": "x"}), *written(two, {"a": "x", "b": "y"}, frame=FRAME[:4] + b"\x08")]
    with pytest.raises(ValueError, match="no column"):
        avro.copy_rows(values[:1], plans, MAX_BYTES, False, (1,))
    with pytest.raises(ValueError, match="different columns"):
        avro.copy_rows(values, plans, MAX_BYTES, False, ())
    with pytest.raises(TypeError):
        avro.copy_rows(values[:1], {7: "plan"}, MAX_BYTES, False, ())


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], False),
        ([None, [], [("a", b"")]], False),
        ([None, [("a", b""), ("name", None)]], True),
        ([[("name", b"x")], [("b", b"")]], True),
        ([(("b", b""), ("name", b""))], True),
    ],
)
def test_a_header_is_found_in_whichever_record_has_it(headers: Any, found: bool) -> None:
    assert avro.any_has_header(iter(headers), "".join(("na", "me"))) is found


@pytest.mark.parametrize("headers", [[7], [["name"]], [[("name",)]]])
def test_headers_that_are_none_are_an_error(headers: Any) -> None:
    with pytest.raises(TypeError):
        avro.any_has_header(headers, "name")
