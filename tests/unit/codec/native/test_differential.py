"""The native codec against fastavro: whatever the schema and the value, the same bytes and the same values.

MAINSTEM_CODEC_PAIRS=20000 pytest tests/unit/codec/native/test_differential.py      # the long run
"""

from __future__ import annotations

import os
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tests.thorough import examples
from tests.unit.codec.native.schemas import cases, has_union, readers, records

native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

PAIRS = settings(
    max_examples=int(os.environ.get("MAINSTEM_CODEC_PAIRS") or examples(150)),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
REFUSED = "refused"


def written(schema: Any, value: Any) -> bytes:
    buffer = BytesIO()
    schemaless_writer(buffer, parse_schema(schema), value)
    return buffer.getvalue()


def acceptable(schema: Any, value: Any) -> bytes:
    """What fastavro writes; a union in which it takes a text for a date, and fails, is another case's matter."""
    try:
        return written(schema, value)
    except ValueError:
        assert has_union(schema)
        reject()


def by_fastavro(value: bytes, writer: Any, reader: Any = None) -> str:
    """What it reads, as text: 1 is not 1.0 nor True there, and a NaN equals itself."""
    buffer = BytesIO(value)
    try:
        read = schemaless_reader(buffer, parse_schema(writer), reader and parse_schema(reader))
    except Exception:  # noqa: BLE001 - it raises whatever the bytes make it raise
        return REFUSED
    return repr(read) if buffer.tell() == len(value) else REFUSED


def by_plan(value: bytes, writer: Any, reader: Any = None) -> str:
    try:
        return repr(native.compile_plan(writer, reader).decode(value))
    except (avro.AvroError, native.Unsupported):
        return REFUSED


@PAIRS
@given(cases(), st.data())
def test_a_value_is_written_and_read_as_by_fastavro(case: Any, data: st.DataObject) -> None:
    schema, value = case[0], data.draw(case[1])
    plan = native.compile_plan(schema)
    expected = acceptable(schema, value)

    read = by_plan(expected, schema)
    assert read == by_fastavro(expected, schema)
    assert read != REFUSED or has_union(schema)  # there fastavro writes a symbol of an enum as a UUID's text
    try:
        assert plan.encode(value) == expected
    except avro.AvroError:
        assert has_union(schema)


@PAIRS
@given(records(), st.data())
def test_another_schema_reads_as_by_fastavro(case: Any, data: st.DataObject) -> None:
    writer, value = case[0], acceptable(case[0], data.draw(case[1]))
    reader = data.draw(readers(writer))

    assert by_plan(value, writer, reader) == by_fastavro(value, writer, reader)


@PAIRS
@given(cases(), st.data())
def test_damaged_bytes_are_refused_or_read_as_by_fastavro(case: Any, data: st.DataObject) -> None:
    schema = case[0]
    value = bytearray(acceptable(schema, data.draw(case[1])))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(value)))
        value[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    damaged = bytes(value)

    read = by_plan(damaged, schema)

    assert read in (REFUSED, by_fastavro(damaged, schema))


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=9),
    st.decimals(),
    st.datetimes(),
    st.dates(),
    st.uuids(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@PAIRS
@given(cases(), ODD)
def test_what_does_not_fit_is_refused_or_written_as_by_fastavro(case: Any, value: object) -> None:
    schema = case[0]
    try:
        ours = native.compile_plan(schema).encode(value)
    except avro.AvroError:
        return
    assert by_plan(ours, schema) == by_fastavro(ours, schema)  # a text that is no UUID is written and not read
    try:
        assert ours == written(schema, value)
    except ValueError:
        assert isinstance(value, Decimal)  # 1.000 in two places: no digit is cut, though fastavro refuses it
