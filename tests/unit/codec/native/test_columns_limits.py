"""Hostile bytes on their way into columns: the refusals of rows, no crash, and no memory beyond the bounds."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings

from tests.thorough import examples

pa = pytest.importorskip("pyarrow")
native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

from mainstem.codec.native.columns import Column  # noqa: E402 - only where the extension was built
from mainstem.codec.native.loading import Step, Table  # noqa: E402
from tests.unit.codec.native.arrow import FRAME, MAX_BYTES, array_of, load, rows_of  # noqa: E402
from tests.unit.codec.native.test_columns_differential import by_rows, refusals  # noqa: E402
from tests.unit.codec.native.test_limits import BAD, HOSTILE, LOOP, WIDE, array, logical, long  # noqa: E402


@pytest.mark.parametrize(("schema", "value", "said"), [case for case in BAD if case[0] is not LOOP])
def test_bad_bytes_are_refused_as_by_rows(schema: Any, value: bytes, said: str) -> None:
    columns = load(schema, [value])

    assert said in str(columns.refused[0][1])
    assert refusals(columns) == by_rows(native.compile_plan(schema), [value])[1]


@settings(max_examples=examples(100), deadline=None)
@given(HOSTILE)
def test_any_bytes_are_refused_or_read_as_by_rows(value: bytes) -> None:
    columns = load(WIDE, [value])
    if columns.refused and "more digits" in str(columns.refused[0][1]):
        return
    rows, refused = by_rows(native.compile_plan(WIDE), [value])
    assert (repr(rows_of(WIDE, columns)), refusals(columns)) == (repr(rows), refused)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("00112233-4455-6677-8899-aabbccddeeff", True),
        ("00112233445566778899AABBCCDDEEFF", True),
        ("{00112233-4455-6677-8899-aabbccddeeff}", True),
        ("urn:uuid:00112233-4455-6677-8899-aabbccddeeff", True),
        ("0011223-34455-6677-8899-aabbccddeeff", True),
        ("00112233-4455-6677-8899-aabbccddeefg", False),
        ("00112233-4455-6677-8899-aabbccddeef", False),
        ("", False),
        ("x" * 36, False),
    ],
)
def test_a_uuid_is_read_in_every_form_that_rows_take(text: str, taken: bool) -> None:
    encoded = native.compile_plan("string").encode(text)

    columns = load(logical("string", "uuid"), [encoded])

    assert (columns.refused == []) is taken
    assert array_of(columns).to_pylist() == by_rows(native.compile_plan(logical("string", "uuid")), [encoded])[0]


@pytest.mark.parametrize(
    ("schema", "value"),
    [("string", "x" * 30), ("bytes", b"x" * 30), (array("int"), [1] * 30), (array("null"), [None] * 30)],
)
def test_a_column_that_its_offsets_cannot_count_ends_the_batch(schema: Any, value: Any) -> None:
    table = Table(schema, max_column_bytes=100)
    encoded = FRAME + native.compile_plan(schema).encode(value)

    few = avro.decode_columns([encoded] * 3, {1: table.loader()}, table.layout, repr, MAX_BYTES)

    assert array_of(few).to_pylist() == [value] * 3
    with pytest.raises(OverflowError, match="fewer values"):
        avro.decode_columns([encoded] * 4, {1: table.loader()}, table.layout, repr, MAX_BYTES)


def test_few_bytes_cannot_claim_much_memory_by_nulls() -> None:
    wide = {"type": "record", "name": "W", "fields": [{"name": f"f{i}", "type": "long"} for i in range(500)]}
    nulls = long(1_000_000) + b"\x00" * 1_000_001

    columns = load(array(["null", wide]), [nulls], max_memory=16_000_000)

    assert "too many values" in str(columns.refused[0][1])


def test_few_bytes_cannot_claim_much_memory_by_a_unions_other_columns() -> None:
    wide = {"type": "record", "name": "W", "fields": [{"name": f"f{i}", "type": "long"} for i in range(500)]}
    values = long(1_000_000) + b"\x02\x00" * 1_000_000 + b"\x00"

    columns = load(array([wide, "int"]), [values], max_memory=16_000_000)

    assert "too many values" in str(columns.refused[0][1])


def test_a_deep_value_is_refused() -> None:
    schema: Any = "int"
    for _ in range(20):
        schema = array(schema)

    columns = load(schema, [b"\x02" * 20 + b"\x02" + b"\x00" * 20], max_depth=19)

    assert "nested too deep" in str(columns.refused[0][1])


def test_bytes_that_are_not_loaded_are_not_kept() -> None:
    values = [FRAME + bytes(1_000_000)] * 3
    table = Table("int")
    tracemalloc.start()
    columns = avro.decode_columns(values, {1: table.loader()}, table.layout, repr, MAX_BYTES)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(columns.refused) == 3
    assert kept < 100_000


LAYOUT_OF_INT = [Column("fixed", "i", "", False, 4)]
INT = [native.Node("int")]


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [()],
        ["int"],
        [Column("round", "i", "", False)],
        [Column("fixed", "i", "", False, -1)],
        [Column("fixed", "d:9,2", "", False, 16, 77)],
        [Column("fixed", "d:9,2", "", False, 8, 9)],
        [Column("fixed", "l", "", False, 8, symbols=("A",))],
        [Column("fixed", "i", "", False, 4, symbols=(1,))],  # type: ignore[arg-type]
        [Column("fixed", "i", "\ud800", False, 4)],
        [Column("list", "+l", "", False)],
        [Column("list", "+l", "", False, children=(0,))],
        [Column("list", "+l", "", False, children=(2,)), *LAYOUT_OF_INT],
        [Column("fixed", "i", "", False, 4, children=(1,)), *LAYOUT_OF_INT],
        [Column("struct", "+s", "", False, children=(1, 1)), *LAYOUT_OF_INT],
        [Column("map", "+m", "", False, children=(1,)), *LAYOUT_OF_INT],
        [*LAYOUT_OF_INT, *LAYOUT_OF_INT],
    ],
)
def test_a_layout_that_makes_no_sense_is_refused(columns: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        avro.Layout(columns, 100)


@pytest.mark.parametrize("max_bytes", [-1, 2**31, 2**63])
def test_a_layout_counts_in_32_bits(max_bytes: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        avro.Layout(LAYOUT_OF_INT, max_bytes)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [()],
        [Step("unheard-of", 0, 0)],
        [Step("int", 1, 0)],
        [Step("int", -1, 0)],
        [Step("int", 0, 1)],
        [Step("null", 0, 0)],
        [Step("long", 0, 0)],
        [Step("string", 0, 0)],
        [Step("boolean", 0, 0)],
        [Step("enum", 0, 0, symbols=(0,))],
        [Step("int", 0, 0, symbols=(0,))],
        [Step("array", 0, 0, children=(1,)), Step("int", 0, 0)],
        [Step("record", 0, 0, children=(-1,))],
        [Step("record", 0, 0, fills=((1, b""),)), Step("int", 0, 0)],
        [Step("int", 0, 0, fills=((1, b""),)), Step("int", 0, 0)],
        [Step("member", 0, 0, children=(1,)), Step("int", 0, 0)],
        [Step("member", 0, 0)],
        [Step("union", 0, 0, children=(1,)), Step("int", 0, 0)],
        [Step("union", 0, 0, children=(0,))],
        [Step("union", 0, 0, children=(-1,))],
    ],
)
def test_steps_that_do_not_fit_the_columns_are_refused(steps: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        avro.Loader(avro.Plan(INT, 10, 10), avro.Layout(LAYOUT_OF_INT, 100), steps)


@pytest.mark.parametrize("children", [(1,), (1, 1), (1, -1), (-1, -1)])
def test_a_record_has_to_fill_each_of_its_columns_once(children: Any) -> None:
    pair = native.Node("record", children=(1, 1), names=("a", "b"), skipped=bytes(2), fills=(None, None))
    layout = avro.Layout([Column("struct", "+s", "", False, children=(1, 2)), *LAYOUT_OF_INT, *LAYOUT_OF_INT], 100)

    with pytest.raises(ValueError, match="bad step"):
        avro.Loader(
            avro.Plan([pair, *INT], 10, 10), layout, [Step("record", 0, 0, children=children), Step("int", 1, 1)]
        )
