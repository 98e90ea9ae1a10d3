"""A dead letter's record as a document: changed, checked against its schema, compared."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from mainstem.codec import headers as h
from mainstem.codec.avro import Codec
from mainstem.errors import SCHEMA_REFUSES, Refused, Rejected, RequestRefused
from mainstem.flow.dead_letter import ERROR_HEADERS
from mainstem.flow.letter_status import DELIVERED, WAITING
from mainstem.recover.edit import (
    Difference,
    as_document,
    check_editable,
    differences,
    edited_record,
    form_of,
    parse_setting,
    read_document,
    write_document,
)
from mainstem.recover.letters import Letter, project
from mainstem.testing.memory_registry import MemoryRegistry
from tests.unit.recover.letters import DLQ, TOPIC, by_identity, letter, sold, status

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
LINE = {
    "type": "record",
    "name": "line",
    "fields": [{"name": "net", "type": MONEY}, {"name": "note", "type": ["null", "string"], "default": None}],
}
FIELDS: list[dict[str, Any]] = [
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "kind", "type": {"type": "enum", "name": "kind", "symbols": ["SALE", "RETURN"]}},
    {"name": "raw", "type": "bytes"},
    {"name": "lines", "type": {"type": "array", "items": LINE}},
]
SALE = {"type": "record", "namespace": "shop", "name": "sold", "fields": FIELDS}
NEWER = {**SALE, "fields": [*FIELDS, {"name": "till", "type": "string", "default": "none"}]}
DATA = {
    "at": datetime(2026, 11, 24, 12, 0, 0, 123456, UTC),
    "day": date(2026, 11, 24),
    "kind": "SALE",
    "raw": b"\x00\xff",
    "lines": [{"net": Decimal("1.50"), "note": None}, {"net": Decimal("-2.00"), "note": "back"}],
}


def registry_with(*definitions: dict[str, Any]) -> MemoryRegistry:
    registry = MemoryRegistry({})
    for definition in definitions:
        registry.register(f"{TOPIC}-value", definition)
    return registry


def value_of(registry: MemoryRegistry, data: Any = None, definition: dict[str, Any] = SALE) -> bytes:
    return Codec(registry, {TOPIC: definition}).encoder(TOPIC).encode(data or DATA) or b""


def dead(value: bytes | None, state: str = WAITING, more: dict[str, bytes] | None = None) -> Letter:
    message = sold(7, "a", more=more or {})
    message = type(message)(message.place, message.key_, value, message.headers_)
    (found,) = project(DLQ, [letter(message, 0)], by_identity(status(message, state))).letters
    return found


def test_a_record_becomes_json_and_comes_back_as_it_was() -> None:
    registry = registry_with(SALE)
    form = form_of(registry, dead(value_of(registry)), latest=False)

    assert form.document == {
        "at": "2026-11-24T12:00:00.123456Z",
        "day": "2026-11-24",
        "kind": "SALE",
        "raw": "AP8=",
        "lines": [{"net": "1.50", "note": None}, {"net": "-2.00", "note": "back"}],
    }
    value, after = form.fill_in(read_document(write_document(form.document)))
    assert (value, after) == (value_of(registry), form.document)


def test_an_edit_is_checked_against_the_schema_that_wrote_the_record() -> None:
    registry = registry_with(SALE, NEWER)
    form = form_of(registry, dead(value_of(registry)), latest=False)
    assert form.document is not None

    value, _ = form.fill_in(parse_setting("lines[0].net=12.50").apply(form.document))

    assert value[:5] == value_of(registry)[:5]
    with pytest.raises(RequestRefused, match="no such field"):
        form.fill_in({**form.document, "till": "3"})


def test_with_the_latest_schema_its_new_fields_are_there_with_their_defaults() -> None:
    registry = registry_with(SALE, NEWER)
    form = form_of(registry, dead(value_of(registry)), latest=True)
    assert form.document is not None

    value, after = form.fill_in({**form.document, "till": "3"})

    assert form.document["till"] == "none"
    assert (after["till"], value[:5]) == ("3", value_of(registry, {**DATA, "till": ""}, NEWER)[:5])


@pytest.mark.parametrize(
    ("setting", "field", "expected"),
    [
        ("lines[0].net=1.234", "lines[0].net", "decimal(9,2)"),
        ("lines[1].net:=1.5", "lines[1].net", "money as text"),
        ("kind=GIFT", "kind", "one of SALE, RETURN"),
        ("at=2026-11-24", "at", "RFC 3339 time with zone"),
        ("day=yesterday", "day", "date"),
        ("raw=***", "raw", "base64"),
        ("lines[0].nett=1", "lines[0].nett", "did you mean 'net'"),
        ("lines:=null", "lines", "array"),
    ],
)
def test_a_refusal_names_the_field_and_what_it_takes(setting: str, field: str, expected: str) -> None:
    registry = registry_with(SALE)
    form = form_of(registry, dead(value_of(registry)), latest=False)
    assert form.document is not None

    with pytest.raises(RequestRefused) as refused:
        form.fill_in(parse_setting(setting).apply(form.document))

    assert refused.value.code is SCHEMA_REFUSES
    (error,) = refused.value.fields
    assert error.field == field
    assert expected in error.expected


def test_a_value_that_is_not_avro_has_no_fields_but_can_be_replaced_by_the_latest_schema() -> None:
    registry = registry_with(SALE, NEWER)

    form = form_of(registry, dead(b"{}"), latest=False)
    value, _ = form.fill_in({**as_document(DATA), "till": "3"})

    assert form.document is None
    assert form.problem is not None
    assert form.problem.code.number == "MS-101"
    assert Codec(registry, {TOPIC: NEWER}).decoder(TOPIC).decode(value)["till"] == "3"


def test_a_record_that_json_cannot_hold_is_not_edited() -> None:
    mixed = {
        "type": "record",
        "namespace": "shop",
        "name": "sold",
        "fields": [{"name": "x", "type": ["bytes", "string"]}],
    }
    registry = registry_with(mixed)

    with pytest.raises(Rejected, match="types that JSON cannot tell apart"):
        form_of(registry, dead(value_of(registry, {"x": b"abcd"}, mixed)), latest=False)


def test_the_new_version_keeps_identity_and_fault_and_says_who_made_it() -> None:
    tired = dead(b"v", more={h.REVISION: b"2", h.REDRIVE_COUNT: b"5", h.REDRIVE_ID: b"r9", h.EDITED_BY: b"bob"})

    record = edited_record(tired, b"new", "ann")

    headers = h.as_dict(record.headers)
    assert (record.topic, record.partition, record.key, record.value) == (DLQ, 0, b"k", b"new")
    assert (headers[h.ID], headers[h.REVISION], headers[h.EDITED_BY]) == (b"a", b"3", b"ann")
    assert {h.REDRIVE_COUNT, h.REDRIVE_ID} & headers.keys() == set(), "nobody has tried this version yet"
    assert headers.keys() >= ERROR_HEADERS
    assert [name for name, _ in record.headers].count(h.REVISION) == 1


def test_a_letter_that_does_not_wait_is_not_edited() -> None:
    check_editable(dead(b"v"))
    with pytest.raises(Refused, match="was delivered"):
        check_editable(dead(b"v", DELIVERED))
    (untracked,) = project(DLQ, [letter(sold(1, "a"), 0)], {}).letters
    with pytest.raises(Refused, match="no sink's letter"):
        check_editable(untracked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1", "b": [1, {"c": 2}], "d": None}),
        ("a:=1", {"a": 1, "b": [1, {"c": 2}], "d": None}),
        ("a=x=y", {"a": "x=y", "b": [1, {"c": 2}], "d": None}),
        ("b[1].c=", {"a": 0, "b": [1, {"c": ""}], "d": None}),
        ("b[2]:=null", {"a": 0, "b": [1, {"c": 2}, None], "d": None}),
        ("b[0]=z", {"a": 0, "b": ["z", {"c": 2}], "d": None}),
        ("b[1].new:=[1]", {"a": 0, "b": [1, {"c": 2, "new": [1]}], "d": None}),
    ],
)
def test_a_field_is_set_by_its_path(text: str, expected: dict[str, Any]) -> None:
    document: dict[str, Any] = {"a": 0, "b": [1, {"c": 2}], "d": None}
    assert parse_setting(text).apply(document) == expected
    assert document == {"a": 0, "b": [1, {"c": 2}], "d": None}


@pytest.mark.parametrize("text", ["b[5].c=1", "b[7]=1", "d.e=1", "x.y=1", "b.c=1", "a[0]=1"])
def test_a_path_through_what_is_not_there_is_refused_and_says_so(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_setting(text).apply({"a": 0, "b": [1, {"c": 2}], "d": None})
    assert refused.value.code is SCHEMA_REFUSES
    assert ":=" in refused.value.fix


@pytest.mark.parametrize("text", ["", "=1", "a", "a[b]=1", "a]=1", "a..b=1", "a:=[1", "a[1]b=1"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_setting(text)


@pytest.mark.parametrize("text", ["", "[1]", '"a"', "{", '{"a": 1,}', "[" * 100_000])
def test_text_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_document(text)
    assert refused.value.code is SCHEMA_REFUSES


def test_the_place_of_a_mistake_in_json_is_named() -> None:
    with pytest.raises(Rejected, match="line 3, column 1"):
        read_document('{"a": 1,\n"b": \n}')


def test_differences_are_told_field_by_field() -> None:
    before = {"a": 1, "b": [{"c": 1}, {"c": 2}], "d": {}, "e": None}
    after = {"a": 1, "b": [{"c": 1}, {"c": 3}, {"c": 4}], "d": {"x": 1}, "e": "new"}

    found = differences(before, after, shown_before=before, shown_after=after)

    assert found == [
        Difference("b[1].c", 2, 3),
        Difference("d", {}, {"x": 1}),
        Difference("e", None, "new"),
        Difference("b[2].c", None, 4),
        Difference("d.x", None, 1),
    ]


def test_a_personal_field_is_told_to_differ_without_its_values() -> None:
    found = differences(
        {"name": "Miller", "same": "x"}, {"name": "Smith", "same": "x"},
        shown_before={"name": "***", "same": "***"}, shown_after={"name": "***", "same": "***"},
    )  # fmt: skip

    assert found == [Difference("name", "***", "*** (another value)")]
    assert "Smith" not in json.dumps(found)
