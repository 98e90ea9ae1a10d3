"""Personal fields are hidden before a record is shown."""

from __future__ import annotations

from typing import Any

from mainstem.cli.masking import masked

PII = {"mainstem.tags": ["pii"]}
PERSON: dict[str, Any] = {
    "type": "record",
    "name": "person",
    "fields": [{"name": "name", "type": "string", **PII}, {"name": "age", "type": "int"}],
}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "email", "type": ["null", "string"], **PII},
        {"name": "phone", "type": {"type": "string", **PII}},
        {"name": "fax", "type": ["null", {"type": "string", **PII}]},
        {"name": "buyer", "type": PERSON},
        {"name": "others", "type": {"type": "array", "items": "person"}},
        {"name": "by_role", "type": {"type": "map", "values": ["null", "person"]}},
        {"name": "address", "type": {"type": "map", "values": "string"}, **PII},
    ],
}
ANN = {"name": "Ann", "age": 41}
HIDDEN = {"name": "***", "age": 41}


def test_tagged_fields_are_hidden_at_any_depth_and_the_others_stay() -> None:
    data = {
        "id": "o1", "email": "a@b.c", "phone": "1", "fax": "2", "buyer": ANN, "others": [ANN, ANN],
        "by_role": {"gift": ANN, "none": None}, "address": {"street": "Main"},
    }  # fmt: skip

    assert masked(SCHEMA, data) == {
        "id": "o1", "email": "***", "phone": "***", "fax": "***", "buyer": HIDDEN, "others": [HIDDEN, HIDDEN],
        "by_role": {"gift": HIDDEN, "none": None}, "address": "***",
    }  # fmt: skip


def test_a_missing_value_is_seen_to_be_missing() -> None:
    assert masked(SCHEMA, {"email": None}) == {"email": None}


def test_the_record_itself_is_left_as_it_is() -> None:
    data = {"email": "a@b.c", "buyer": dict(ANN)}

    masked(SCHEMA, data)

    assert data == {"email": "a@b.c", "buyer": ANN}
