"""A topic's events as Arrow columns: the rows, where they stand, and what is no row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mainstem import Misconfigured, Origin
from mainstem.client.columns import EventColumns, read_columns
from mainstem.codec import headers as h
from mainstem.codec.avro import MAX_BYTES, Codec
from mainstem.codec.columns import ColumnDecoder
from mainstem.codec.engine import FASTAVRO, VARIABLE
from mainstem.codec.registry import Definition, value_subject
from mainstem.errors import BAD_PAYLOAD, FOREIGN_SCHEMA, NOT_AVRO, TOO_LARGE, UNSAFE_SCHEMA
from mainstem.testing.memory_registry import MemoryRegistry
from mainstem.testing.raw_message import RawMessage

pa = pytest.importorskip("pyarrow")
pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

TOPIC = "shop.order.v1"
OTHER = "shop.refund.v1"
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}


def order(*more: dict[str, Any]) -> Definition:
    return {"type": "record", "name": "order", "namespace": "shop", "fields": [{"name": "n", "type": "int"}, *more]}


OLD = order()
NEW = order({"name": "net", "type": ["null", MONEY], "default": None})


@pytest.fixture
def registry() -> MemoryRegistry:
    known = MemoryRegistry({TOPIC: OLD, OTHER: order({"name": "text", "type": "string"})})
    known.register(value_subject(TOPIC), NEW)
    return known


def encoded(registry: MemoryRegistry, topic: str, schema: Definition, **data: Any) -> bytes:
    return Codec(registry, {topic: schema}).encoder(topic).encode(data) or b""


def read(registry: MemoryRegistry, *values: bytes | None, headers: Any = ()) -> EventColumns:
    messages = [RawMessage(TOPIC, 2, 100 + i, b"k", value, headers) for i, value in enumerate(values)]
    return read_columns(messages, ColumnDecoder(TOPIC, registry, NEW))


def at(*offsets: int) -> list[Origin]:
    return [Origin(TOPIC, 2, offset) for offset in offsets]


def test_events_of_every_version_are_rows_of_one(registry: MemoryRegistry) -> None:
    old, new = encoded(registry, TOPIC, OLD, n=1), encoded(registry, TOPIC, NEW, n=2, net=Decimal("5.10"))

    columns = read(registry, old, new, old)

    batch = pa.record_batch(columns)
    assert batch.to_pylist() == [{"n": 1, "net": None}, {"n": 2, "net": Decimal("5.10")}, {"n": 1, "net": None}]
    assert (
        batch.schema
        == pa.schema(columns)
        == pa.schema([pa.field("n", pa.int32(), False), ("net", pa.decimal128(8, 2))])
    )
    assert (len(columns), columns.origins) == (3, at(100, 101, 102))


def test_what_is_no_row_is_named_with_its_place(registry: MemoryRegistry) -> None:
    good = encoded(registry, TOPIC, NEW, n=1, net=None)
    foreign = encoded(registry, OTHER, order({"name": "text", "type": "string"}), n=1, text="secret")

    columns = read(registry, b"{}", None, good, good[:-1], foreign, good + b"x", bytes(MAX_BYTES + 1))

    assert columns.origins == at(102)
    assert columns.deleted == [(Origin(TOPIC, 2, 101), b"k")]
    assert [origin.offset for origin, _ in columns.refused] == [100, 103, 104, 105, 106]
    codes = [NOT_AVRO, BAD_PAYLOAD, FOREIGN_SCHEMA, BAD_PAYLOAD, TOO_LARGE]
    assert [why.code for _, why in columns.refused] == codes
    assert "net (byte 6)" in columns.refused[1][1].cause
    assert not any("secret" in str(why) for _, why in columns.refused)


def test_a_schema_that_a_header_names_counts(registry: MemoryRegistry) -> None:
    value = encoded(registry, TOPIC, OLD, n=7)

    named = read(registry, value[5:], headers=[(h.VALUE_SCHEMA_ID, value[:5])])
    badly = read(registry, value[5:], headers=[(h.VALUE_SCHEMA_ID, b"7")])

    assert pa.record_batch(named).to_pylist() == [{"n": 7, "net": None}]
    assert [why.code for _, why in badly.refused] == [NOT_AVRO]


def test_a_version_of_another_logical_type_costs_its_records_and_no_more(registry: MemoryRegistry) -> None:
    cents = order({"name": "net", "type": {**MONEY, "scale": 3}})
    registry.register(value_subject(TOPIC), cents)

    columns = read(
        registry, encoded(registry, TOPIC, cents, n=1, net=Decimal("1.000")), encoded(registry, TOPIC, OLD, n=2)
    )

    assert [why.code for _, why in columns.refused] == [FOREIGN_SCHEMA]
    assert columns.origins == at(101)


def test_a_schema_that_does_not_fit_is_compared_once(registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    cents = order({"name": "net", "type": {**MONEY, "scale": 3}})
    registry.register(value_subject(TOPIC), cents)
    asked: list[int] = []

    def definition(schema_id: int) -> Definition:
        asked.append(schema_id)
        return cents

    monkeypatch.setattr(registry, "definition", definition)
    value = b"\x00\x00\x00\x00\x04\x02\x02\x01"

    assert len(read(registry, value, value, value).refused) == 3
    assert asked == [4]


def test_types_that_are_used_by_name_are_columns(registry: MemoryRegistry) -> None:
    size = {"type": "enum", "name": "size", "symbols": ["S", "L"]}
    named = order({"name": "first", "type": size}, {"name": "second", "type": ["null", "shop.size"]})
    registry.register(value_subject(TOPIC), named)
    value = encoded(registry, TOPIC, named, n=1, first="S", second="L")

    columns = read_columns([RawMessage(TOPIC, 0, 0, None, value)], ColumnDecoder(TOPIC, registry, named))

    assert pa.record_batch(columns).to_pylist() == [{"n": 1, "first": "S", "second": "L"}]


def test_columns_want_the_native_codec(registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, FASTAVRO)

    with pytest.raises(Misconfigured, match="native codec only"):
        ColumnDecoder(TOPIC, registry, NEW)


def test_a_schema_that_is_no_table_or_unsafe_is_refused(registry: MemoryRegistry) -> None:
    huge = order({"name": "net", "type": {**MONEY, "precision": 99}})

    with pytest.raises(Misconfigured, match="no Arrow columns"):
        ColumnDecoder(TOPIC, registry, huge)
    with pytest.raises(Misconfigured) as unsafe:
        ColumnDecoder(TOPIC, registry, order({"name": "next", "type": ["null", "shop.order"]}))
    assert unsafe.value.code is UNSAFE_SCHEMA
