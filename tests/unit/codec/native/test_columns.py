"""Messages as Arrow columns: the types, the values, what was refused, and who may hold the memory."""

from __future__ import annotations

import gc
import threading
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

pa = pytest.importorskip("pyarrow")
native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

from mainstem.codec.native.loading import Table  # noqa: E402 - only where the extension was built
from tests.unit.codec.native.arrow import FRAME, MAX_BYTES, array_of, load, rows_of  # noqa: E402

RED = {"type": "enum", "name": "Colour", "symbols": ["RED", "GREEN", "BLUE"]}
LINE = {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}, {"name": "n", "type": "int"}]}
LINES = pa.struct([pa.field("sku", pa.string(), nullable=False), pa.field("n", pa.int32(), nullable=False)])

SYMBOLS = pa.dictionary(pa.int32(), pa.string())


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


def fixed(size: int, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size, **more}


def record(name: str, *fields: tuple[Any, ...]) -> dict[str, Any]:
    names = ("name", "type", "default")
    return {"type": "record", "name": name, "fields": [dict(zip(names, field, strict=False)) for field in fields]}


def item(of: Any) -> Any:
    return pa.list_(pa.field("item", of, nullable=False))


TYPES: list[tuple[Any, Any, Any]] = [
    ("null", pa.null(), None),
    ("boolean", pa.bool_(), True),
    ("int", pa.int32(), -(2**31)),
    ("long", pa.int64(), 2**63 - 1),
    ("float", pa.float32(), 0.5),
    ("double", pa.float64(), 1e300),
    ("string", pa.string(), "é€𝄞"),
    ("bytes", pa.binary(), b"\x00\xff"),
    (fixed(3), pa.binary(3), b"abc"),
    (fixed(0), pa.binary(0), b""),
    (RED, SYMBOLS, "BLUE"),
    (logical("bytes", "decimal", precision=8, scale=2), pa.decimal128(8, 2), Decimal("-999999.99")),
    (logical("bytes", "decimal", precision=38, scale=10), pa.decimal128(38, 10), Decimal(f"{10**38 - 1}E-10")),
    (logical("bytes", "decimal", precision=39), pa.decimal256(39, 0), Decimal(-(10**38))),
    (logical("bytes", "decimal", precision=76, scale=76), pa.decimal256(76, 76), Decimal(f"{10**75}E-76")),
    (fixed(4, logicalType="decimal", precision=9, scale=2), pa.decimal128(9, 2), Decimal("-0.01")),
    (fixed(40, logicalType="decimal", precision=50), pa.decimal256(50, 0), Decimal(-(10**49))),
    (logical("int", "date"), pa.date32(), date(1, 1, 1)),
    (logical("int", "time-millis"), pa.time32("ms"), time(23, 59, 59, 999000)),
    (logical("long", "time-micros"), pa.time64("us"), time(23, 59, 59, 999999)),
    (logical("long", "timestamp-millis"), pa.timestamp("ms", "UTC"), datetime(1969, 12, 31, 23, tzinfo=UTC)),
    (logical("long", "timestamp-micros"), pa.timestamp("us", "UTC"), datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
    (logical("long", "local-timestamp-millis"), pa.timestamp("ms"), datetime(2026, 1, 2, 3)),  # noqa: DTZ001 - no zone
    (logical("long", "local-timestamp-micros"), pa.timestamp("us"), datetime(2026, 1, 2, 3)),  # noqa: DTZ001 - no zone
    (logical("string", "uuid"), pa.uuid(), UUID(int=2**127 + 7)),
    ({"type": "array", "items": "long"}, item(pa.int64()), [1, 2, 3]),
    ({"type": "array", "items": {"type": "array", "items": "null"}}, item(pa.list_(pa.null())), [[None, None], []]),
    ({"type": "map", "values": "int"}, pa.map_(pa.string(), pa.field("value", pa.int32(), nullable=False)), {"k": 1}),
    (LINE, LINES, {"sku": "a", "n": 1}),
    ({"type": "array", "items": LINE}, item(LINES), [{"sku": "a", "n": 1}, {"sku": "", "n": 2}]),
    (record("Empty"), pa.struct([]), {}),
    (["null", "int"], pa.int32(), None),
    (["string", "null"], pa.string(), "x"),
    (["int"], pa.int32(), 7),
    (["null"], pa.null(), None),
    (["null", LINE], LINES, None),
    (["null", "int", "string"], pa.struct([("int", pa.int32()), ("string", pa.string())]), "text"),
    (["int", LINE, RED], pa.struct([("int", pa.int32()), ("Line", LINES), ("Colour", SYMBOLS)]), "RED"),
]


@pytest.mark.parametrize(("schema", "arrow", "value"), TYPES)
def test_a_type_is_the_arrow_type_that_says_the_same(schema: Any, arrow: Any, value: Any) -> None:
    encoded = native.compile_plan(schema).encode(value)

    columns = load(schema, [encoded, encoded])

    assert array_of(columns).type == arrow
    assert repr(rows_of(schema, columns)) == repr([value, value])


def test_columns_are_a_record_batch_of_the_schemas_fields() -> None:
    schema = record("R", ("a", "int"), ("b", ["null", "string"]))
    plan = native.compile_plan(schema)
    rows = [{"a": i, "b": None if i % 3 else f"text {i}"} for i in range(1000)]

    batch = pa.record_batch(load(schema, [plan.encode(row) for row in rows]))

    assert batch.schema == pa.schema([pa.field("a", pa.int32(), nullable=False), ("b", pa.string())])
    assert batch.to_pylist() == rows
    assert batch.column("b").null_count == 666


def test_the_layout_is_known_before_any_value() -> None:
    table = Table(record("R", ("a", "int"), ("b", ["null", logical("string", "uuid")])))

    assert pa.schema(table.layout) == pa.schema([pa.field("a", pa.int32(), nullable=False), ("b", pa.uuid())])
    assert pa.record_batch(avro.decode_columns([], {}, table.layout, repr, MAX_BYTES)).num_rows == 0


def test_a_record_that_is_refused_leaves_no_trace() -> None:
    schema = record("R", ("a", {"type": "array", "items": ["null", LINE]}), ("b", "string"), ("c", ["int", "string"]))
    plan = native.compile_plan(schema)
    good = [{"a": [{"sku": f"s{i}", "n": i}, None], "b": f"b{i}", "c": i} for i in range(3)]
    encoded = [plan.encode(row) for row in good]
    cut = plan.encode({"a": [{"sku": "lost", "n": 9}] * 200, "b": "lost" * 2000, "c": "lost"})[:-1]

    columns = load(schema, [cut, encoded[0], cut, None, encoded[1], encoded[2] + b"x", encoded[2]])

    assert rows_of(schema, columns) == good
    assert columns.rows == [1, 4, 6]
    assert columns.tombstones == [3]
    assert [number for number, _ in columns.refused] == [0, 2, 5]
    assert [(error.path, error.offset) for _, error in columns.refused[1:]] == [
        ("c", len(cut) + 5 - 3),
        ("", 5 + len(encoded[2])),
    ]


def test_what_is_not_plain_goes_to_the_caller() -> None:
    table = Table("int")
    loader = table.loader()
    asked: list[Any] = []

    def otherwise(value: Any) -> Any:
        asked.append(value)
        return loader if isinstance(value, bytes) and value.startswith(b"\x00\x00\x00\x00\x02") else "unknown"

    second = b"\x00\x00\x00\x00\x02"
    values: list[Any] = [
        FRAME + b"\x02",
        second + b"\x04",
        b"",
        "text",
        second + b"\x06",
        b"\x01" + FRAME,
        FRAME + bytes(9),
    ]
    columns = avro.decode_columns(values, {1: loader}, table.layout, otherwise, 10)

    assert array_of(columns).to_pylist() == [1, 2, 3]
    assert columns.refused == [(2, "unknown"), (3, "unknown"), (5, "unknown"), (6, "unknown")]
    assert asked == [values[1], b"", "text", values[5], values[6]]


def test_an_exception_of_the_callers_ends_the_batch() -> None:
    table = Table("int")

    with pytest.raises(ZeroDivisionError):
        avro.decode_columns([FRAME + b"\x02", b""], {1: table.loader()}, table.layout, lambda _: 1 // 0, MAX_BYTES)


def test_a_loader_of_another_layout_is_no_loader() -> None:
    table = Table("int")

    columns = avro.decode_columns([FRAME + b"\x02a"], {1: Table("string").loader()}, table.layout, len, MAX_BYTES)

    assert columns.refused == [(0, 7)]


def test_memory_lives_as_long_as_the_last_who_holds_it() -> None:
    schema = record("R", ("s", "string"), ("l", {"type": "array", "items": RED}))
    plan = native.compile_plan(schema)
    rows = [{"s": f"text {i}" * 50, "l": ["RED", "BLUE"]} for i in range(100)]
    columns = load(schema, [plan.encode(row) for row in rows])

    first, second = pa.record_batch(columns), pa.record_batch(columns)
    assert first.column(0).buffers()[2].address == second.column(0).buffers()[2].address
    alone = first.column(1).slice(98)
    del columns, first
    gc.collect()

    assert second.to_pylist() == rows
    del second
    gc.collect()
    assert alone.to_pylist() == [["RED", "BLUE"]] * 2


def test_arrays_are_let_go_in_any_thread() -> None:
    columns = load("string", [b"\x08text"] * 10)
    held = [pa.array(columns) for _ in range(200)]
    del columns
    threads = [threading.Thread(target=held[i::4].clear) for i in range(4)]

    for thread in threads:
        thread.start()
    while held:
        held.pop()
    for thread in threads:
        thread.join()

    assert held == []


def test_batches_are_loaded_in_several_threads_at_once() -> None:
    schema = record("R", ("s", "string"), ("u", logical("string", "uuid")))
    good = native.compile_plan(schema).encode({"s": "text" * 20, "u": UUID(int=7)})
    odd = native.compile_plan(record("R", ("s", "string"), ("u", "string"))).encode(
        {"s": "", "u": f"{{{UUID(int=7)}}}"}
    )
    loaded: list[Any] = []

    def work() -> None:
        loaded.extend(load(schema, [good, good[:-1], odd, good[:-9]] * 50) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(loaded) == 60
    for columns in loaded:
        assert array_of(columns).to_pylist()[:2] == [{"s": "text" * 20, "u": UUID(int=7)}, {"s": "", "u": UUID(int=7)}]
        assert [number % 4 for number, _ in columns.refused] == [1, 3] * 50
        assert {error.path for _, error in columns.refused} == {"u"}


def test_a_capsule_that_nobody_takes_is_freed() -> None:
    columns = load("string", [b"\x08text"] * 10)

    for _ in range(10):
        columns.__arrow_c_array__(None)
        columns.__arrow_c_array__(requested_schema=None)
        columns.__arrow_c_schema__()

    assert pa.array(columns).to_pylist() == ["text"] * 10


@pytest.mark.parametrize(
    "schema",
    [
        record("Node", ("next", ["null", "Node"])),
        {"type": "array", "items": record("Tree", ("below", {"type": "array", "items": "Tree"}))},
        logical("bytes", "decimal", precision=77),
        [{"type": "fixed", "name": "array", "size": 1}, {"type": "array", "items": "int"}],
    ],
)
def test_what_is_no_column_is_refused_by_the_schema(schema: Any) -> None:
    with pytest.raises(native.Unsupported):
        Table(schema)


def test_a_schema_cannot_claim_any_number_of_columns() -> None:
    schema: Any = "int"
    for i in range(30):
        schema = record(f"R{i}", ("a", schema), ("b", schema if i == 0 else f"R{i - 1}"))

    with pytest.raises(native.Unsupported, match="columns"):
        Table(schema)


def test_types_of_one_name_in_a_union_keep_their_namespaces() -> None:
    one, two = ({**record("R", ("f", "int")), "namespace": space} for space in ("a", "b"))

    assert [
        field.name for field in pa.schema(Table(record("Root", ("u", [one, two, "int"]))).layout).field(0).type
    ] == [
        "a.R",
        "b.R",
        "int",
    ]
