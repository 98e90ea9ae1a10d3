from __future__ import annotations

import pytest

from mainstem import Misconfigured
from mainstem.codec.avro import Encoder
from mainstem.process.reference import ReferenceTable, tables_of
from mainstem.testing.raw_message import RawMessage
from tests.unit.process.conftest import DEFINITION, READS, SCHEMA_ID, decoder


def record(key: bytes | None, n: int | None, *, value: bytes | None = None) -> RawMessage:
    encoded = value if n is None else Encoder(READS, DEFINITION, SCHEMA_ID).encode({"n": n})
    return RawMessage(READS, 0, 0, key, encoded)


@pytest.fixture
def table() -> ReferenceTable:
    return ReferenceTable(READS, decoder())


def test_the_newest_value_of_a_key_counts(table: ReferenceTable) -> None:
    table.apply([record(b"a", 1), record(b"b", 2), record(b"a", 3)])
    assert {key: data["n"] for key, data in table.items()} == {"a": 3, "b": 2}


def test_a_tombstone_deletes(table: ReferenceTable) -> None:
    table.apply([record(b"a", 1), record(b"a", None)])
    assert "a" not in table
    assert table.get("a") is None


def test_a_value_is_decoded_once(table: ReferenceTable) -> None:
    table.apply([record(b"a", 1)])
    assert table["a"] is table["a"]


def test_a_record_without_a_key_says_nothing(table: ReferenceTable) -> None:
    table.apply([record(None, 1)])
    assert len(table) == 0


def test_a_value_that_does_not_decode_is_not_the_fault_of_who_asks(table: ReferenceTable) -> None:
    table.apply([record(b"a", None, value=b"no avro"), record(b"b", 2)])
    assert table["b"]["n"] == 2
    with pytest.raises(Misconfigured, match=f"{READS}:0:0"):
        table["a"]
    table.apply([record(b"a", 5)])
    assert table["a"]["n"] == 5


def test_a_table_can_be_walked_through_while_it_changes(table: ReferenceTable) -> None:
    table.apply([record(b"a", 1), record(b"b", 2)])
    for key in table:
        table.apply([record(f"{key}{key}".encode(), 3)])
    assert len(table) == 4


def test_one_topic_is_one_table_under_however_many_names() -> None:
    by_name, tables = tables_of({"left": READS, "right": READS}, lambda _topic: decoder())
    assert by_name["left"] is by_name["right"]
    assert len(tables) == 1
