"""A view of a record is a dict to whoever reads it, and costs no more than what is looked at."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.thorough import examples
from tests.unit.codec.native.schemas import records

native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

LINE = {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}, {"name": "n", "type": "int"}]}
FIELDS = [
    {"name": "id", "type": "string"},
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "first", "type": ["null", LINE]},
    {"name": "lines", "type": {"type": "array", "items": "Line"}},
    {"name": "tags", "type": {"type": "map", "values": "long"}},
]
ORDER = {"type": "record", "name": "Order", "fields": FIELDS}
VALUE: dict[str, Any] = {
    "id": "o1",
    "total": Decimal("12.50"),
    "at": datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC),
    "first": {"sku": "a", "n": 1},
    "lines": [{"sku": "a", "n": 1}, {"sku": "é", "n": 2}],
    "tags": {"k": 1},
}
PLAN = native.compile_plan(ORDER)
BYTES = PLAN.encode(VALUE)


def view() -> Any:
    return PLAN.view(BYTES)


def test_a_view_is_a_mapping_and_equals_and_prints_as_a_dict() -> None:
    record = view()

    assert isinstance(record, Mapping)
    assert record == VALUE
    assert record == view()
    assert VALUE.__eq__(record) is NotImplemented, "so that Python asks the record"
    assert record != {**VALUE, "id": "o2"}
    others: tuple[Any, ...] = (7, None, [*record])
    assert all(record != other for other in others)
    assert repr(record) == repr(VALUE)
    assert (len(record), list(record), "id" in record, "x" in record, 7 in record) == (
        6,
        list(VALUE),
        True,
        False,
        False,
    )
    assert {**record} == VALUE
    assert dict(record.items()) == VALUE
    assert list(record.keys()) == list(VALUE)
    assert list(record.values()) == list(VALUE.values())


def test_a_field_that_is_not_there_is_a_key_error_or_the_default() -> None:
    record = view()

    assert (record.get("id"), record.get("x"), record.get("x", 7)) == ("o1", None, 7)
    for name in ("x", 7):
        with pytest.raises(KeyError):
            record[name]
    with pytest.raises(TypeError):
        hash(record)


def test_what_is_in_a_view_is_a_view_too() -> None:
    record = view()

    assert [type(record["first"]), *map(type, record["lines"])] == [avro.Record] * 3
    assert record["lines"][1]["sku"] == "é"
    assert record["first"] is record["first"]


def test_a_view_is_copied_and_pickled_as_dicts() -> None:
    for twin in (pickle.loads(pickle.dumps(view())), copy.deepcopy(view()), view().to_dict()):  # noqa: S301 - our own
        assert (type(twin), type(twin["first"]), type(twin["lines"][0])) == (dict, dict, dict)
        assert twin == VALUE


def test_an_unchanged_view_has_its_bytes() -> None:
    record = view()

    assert PLAN.encode(record) == BYTES
    assert repr(record)
    assert PLAN.encode(record, b"frame") == b"frame" + BYTES


def test_what_is_replaced_is_written_and_the_rest_is_copied() -> None:
    record = view()
    changes = {"total": Decimal("1.00"), "lines": [*record["lines"], {"sku": "c", "n": 3}]}

    changed = record.replace(**changes)

    assert changed == {**VALUE, **changes}
    assert PLAN.encode(changed) == PLAN.encode({**VALUE, **changes})
    assert record == VALUE


def test_a_replacement_of_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        view().replace(x=1)
    with pytest.raises(TypeError):
        view().replace({"id": 1})


def test_a_replacement_of_a_wrong_type_is_refused_when_it_is_written() -> None:
    with pytest.raises(avro.AvroError, match="total"):
        PLAN.encode(view().replace(total="much"))


def test_a_list_that_was_changed_in_place_is_written_as_it_is() -> None:
    record = view()
    record["lines"].append({"sku": "c", "n": 3})
    record["tags"]["l"] = 2

    written = PLAN.encode(record)

    expected = {**VALUE, "lines": [*VALUE["lines"], {"sku": "c", "n": 3}], "tags": {"k": 1, "l": 2}}
    assert PLAN.decode(written) == expected
    assert record == expected


def test_a_nested_change_is_written() -> None:
    record = view()

    changed = record.replace(first=record["first"].replace(n=9))

    assert PLAN.decode(PLAN.encode(changed)) == {**VALUE, "first": {"sku": "a", "n": 9}}


def test_another_schema_takes_over_the_fields_that_are_alike() -> None:
    other = native.compile_plan(
        {
            "type": "record",
            "name": "Short",
            "fields": [
                {"name": "lines", "type": {"type": "array", "items": LINE}},
                {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}},
                {"name": "note", "type": "string", "default": "none"},
                {"name": "id", "type": ["null", "string"]},
            ],
        }
    )
    expected = {"lines": VALUE["lines"], "total": Decimal("12.500"), "note": "none", "id": "o1"}

    assert other.decode(other.encode(view())) == expected
    with pytest.raises(avro.AvroError, match="no value and no default"):
        PLAN.encode(other.view(other.encode(view())))


def test_a_view_through_another_schema_has_that_schemas_fields() -> None:
    reader = {
        "type": "record",
        "name": "Order",
        "fields": [
            {"name": "key", "aliases": ["id"], "type": "string"},
            {"name": "extra", "type": {"type": "array", "items": "int"}, "default": [1]},
            {"name": "tags", "type": {"type": "map", "values": "double"}},
        ],
    }
    record = native.compile_plan(ORDER, reader).view(BYTES)
    expected = {"key": "o1", "tags": {"k": 1.0}, "extra": [1]}

    assert record == expected
    assert list(record) == list(expected)
    assert "id" not in record
    assert native.compile_plan(reader).decode(native.compile_plan(reader).encode(record)) == expected
    assert record.replace(extra=[])["extra"] == []
    with pytest.raises(avro.AvroError):
        PLAN.encode(record)


@pytest.mark.parametrize("cut", range(len(BYTES)))
def test_bad_bytes_are_refused_before_anything_is_looked_at(cut: int) -> None:
    with pytest.raises(avro.AvroError):
        PLAN.view(BYTES[:cut])


def test_bytes_that_would_be_refused_later_are_refused_at_once() -> None:
    for bad in (BYTES.replace(b"o1", b"o\xff"), BYTES + b"x"):
        with pytest.raises(avro.AvroError):
            PLAN.view(bad)


def test_a_view_in_a_circle_is_collected() -> None:
    record = view()
    record["lines"].append(record)
    before = len(gc.get_objects())
    del record

    assert gc.collect() > 0
    assert len(gc.get_objects()) < before


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records(), st.data())
def test_a_view_of_any_record_is_what_decoding_gives(case: Any, data: st.DataObject) -> None:
    schema = case[0]
    buffer = BytesIO()
    schemaless_writer(buffer, parse_schema(schema), data.draw(case[1]))
    plan = native.compile_plan(schema)

    record = plan.view(buffer.getvalue())
    looked_at = data.draw(st.sets(st.sampled_from(list(record)))) if len(record) else ()
    for name in looked_at:
        assert repr(record[name]) == repr(plan.decode(buffer.getvalue())[name])

    assert plan.decode(plan.encode(record)) == plan.decode(buffer.getvalue()) or "nan" in repr(record)
    assert repr(record) == repr(plan.decode(buffer.getvalue()))
