"""Columns against rows: whatever the schema and the bytes, the same values, and the same refusals at the same places.

MAINSTEM_CODEC_PAIRS=20000 pytest tests/unit/codec/native/test_columns_differential.py      # the long run
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

from tests.unit.codec.native.arrow import FRAME, comparable, load, rows_of  # noqa: E402 - only where there is pyarrow
from tests.unit.codec.native.schemas import cases, readers, records  # noqa: E402
from tests.unit.codec.native.test_differential import PAIRS, acceptable  # noqa: E402

TOO_WIDE = "digits than its schema"


def by_rows(plan: Any, values: list[bytes]) -> tuple[list[Any], list[tuple[int, str, int]]]:
    """What is read, and of what is refused the number, the reason and the byte."""
    rows, refused = [], []
    for number, value in enumerate(values):
        try:
            rows.append(plan.decode(FRAME + value, len(FRAME)))
        except avro.AvroError as error:
            refused.append((number, str(error), error.offset))
    return rows, refused


def refusals(columns: Any) -> list[tuple[int, str, int]]:
    return [(number, str(error), error.offset) for number, error in columns.refused]


@PAIRS
@given(cases(), st.data())
def test_columns_hold_what_rows_hold(case: Any, data: st.DataObject) -> None:
    schema = case[0]
    values = [acceptable(schema, value) for value in data.draw(st.lists(case[1], max_size=5))]

    columns = load(schema, list(values))

    rows, refused = by_rows(native.compile_plan(schema), values)
    assert refusals(columns) == refused  # fastavro writes any text as a UUID, where a union has both
    assert repr(rows_of(schema, columns)) == repr(rows)


@PAIRS
@given(cases(), st.data())
def test_damaged_bytes_are_refused_as_by_rows_and_leave_no_trace(case: Any, data: st.DataObject) -> None:
    schema = case[0]
    values = [acceptable(schema, value) for value in data.draw(st.lists(case[1], min_size=1, max_size=3))]
    damaged = bytearray(data.draw(st.sampled_from(values)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged)))
        damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    values.insert(data.draw(st.integers(0, len(values))), bytes(damaged))

    columns = load(schema, list(values))

    refused = refusals(columns)
    kept = [
        value for number, value in enumerate(values) if number not in {n for n, why, _ in refused if TOO_WIDE in why}
    ]
    rows, expected = by_rows(native.compile_plan(schema), kept)
    assert [why for why in refused if TOO_WIDE not in why[1]] == expected
    assert repr(rows_of(schema, columns)) == repr(rows)


def without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        return {key: without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
    return schema


@PAIRS
@given(records(), st.data())
def test_another_schema_reads_as_by_rows(case: Any, data: st.DataObject) -> None:
    values = [acceptable(case[0], value) for value in data.draw(st.lists(case[1], min_size=1, max_size=3))]
    writer = without_logical_types(case[0])
    reader = data.draw(readers(writer))
    try:
        plan = native.compile_plan(writer, reader)
    except native.Unsupported:
        return

    columns = load(writer, list(values), reader)

    rows, refused = by_rows(plan, values)
    assert refusals(columns) == refused
    assert repr(comparable(rows_of(reader, columns))) == repr(comparable(rows))
