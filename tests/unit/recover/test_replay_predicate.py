"""`--where`: compared as the field's Avro type has it, refused where it does not fit the schema."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from mainstem.errors import Misconfigured
from mainstem.recover.replay.predicate import compile_predicate

LINE = {
    "type": "record",
    "name": "line",
    "fields": [{"name": "net", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}],
}
FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "note", "type": ["null", "string"]},
    {"name": "count", "type": "int"},
    {"name": "weight", "type": "float"},
    {"name": "share", "type": "double"},
    {"name": "paid", "type": "boolean"},
    {"name": "net", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "uid", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "size", "type": {"type": "enum", "name": "size", "symbols": ["SMALL", "LARGE", "HUGE"]}},
    {"name": "line", "type": ["null", LINE]},
    {"name": "lines", "type": {"type": "array", "items": "string"}},
    {"name": "labels", "type": {"type": "map", "values": "string"}},
    {"name": "mixed", "type": ["string", "int"]},
]
SOLD = {"type": "record", "name": "shop.sold", "fields": FIELDS}
DATA: dict[str, Any] = {
    "id": "17",
    "note": None,
    "count": 9,
    "weight": 0.10000000149011612,
    "share": 0.5,
    "paid": True,
    "net": Decimal("10.50"),
    "at": datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC),
    "day": date(2026, 11, 24),
    "uid": UUID("6f1b3d6e-0000-4000-8000-000000000000"),
    "size": "LARGE",
    "line": {"net": Decimal("-1.00")},
    "lines": [],
    "labels": {"colour": "red"},
    "mixed": 1,
}


def holds(text: str, **changes: Any) -> bool:
    return compile_predicate(text, SOLD, "shop.sold.v1")(DATA | changes)


@pytest.mark.parametrize(
    "text",
    [
        "id = 17", 'id="17"', "id in [17, 18]", 'id in ["17"]', "id in 16,17", "id != 170",
        "count = 9", "count < 10", "count >= 9", "count in [1, 9]", "weight = 0.1", "share <= 0.5",
        "paid = true", "paid != false", "net = 10.5", "net > 9.99", "net in [10.50]", "net <= 10.50",
        "at > 2026-11-24T12:00:00Z", "at < 2026-11-24T13:00:01+01:00", "at = 2026-11-24T12:00:00.000001Z",
        "day = 2026-11-24", "day in [2026-11-23, 2026-11-24]", "uid = 6F1B3D6E-0000-4000-8000-000000000000",
        "size = LARGE", "size > SMALL", "size < HUGE", "size in [LARGE, HUGE]",
        "note = null", "note != urgent", "note in [null, urgent]", "line.net < 0", "labels.colour = red",
    ],
)  # fmt: skip
def test_what_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "id = 18", "count > 10", "count = 10", "net < 9.99", "net = 10.51", "at < 2026-11-24T12:00:00Z",
        "size < SMALL", "size > LARGE", "note = urgent", "note < urgent", "note > urgent", "note != null",
        'note = "null"', "labels.weight = red", "paid = false", "share > 0.5",
    ],
)  # fmt: skip
def test_what_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_a_field_of_a_record_that_is_null_is_null() -> None:
    assert not holds("line.net < 0", line=None)
    assert holds("line.net != 0", line=None)


def test_numbers_are_not_compared_as_text() -> None:
    assert holds("count > 10", count=9_000)
    assert holds("net > 9", net=Decimal("10.00"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nett = 1", "there is no field `nett`; did you mean `net`?; there are: at, count"),
        ("line.nit = 1", "there is no field `nit`; did you mean `net`?"),
        ("id.x = 1", "nothing of string is called `x`"),
        ("count = many", "it takes int"),
        ("count = 1.5", "it takes int"),
        ("net = 1.005", "it takes decimal(9,2)"),
        ("at > yesterday", "RFC 3339"),
        ("at > 2026-11-24T12:00:00", "RFC 3339"),
        ("size = LARG", "did you mean `LARGE`"),
        ("paid > false", "no order"),
        ("note < null", "less or greater than null"),
        ("count = null", "never null"),
        ("labels.weight = null", "never null"),
        ("line = 1", "is a record"),
        ("lines = 1", "is a array"),
        ("mixed = 1", "several types"),
        ("count", "not FIELD OP VALUE"),
        ("count =", "not FIELD OP VALUE"),
        ("= 3", "not FIELD OP VALUE"),
        ("count ~ 3", "not FIELD OP VALUE"),
        ("count in [[1]]", "single values"),
        ("__import__('os').system('x') = 1", "there is no field"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(text: str, says: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        compile_predicate(text, SOLD, "shop.sold.v1")

    assert says in refused.value.cause
    assert refused.value.cause.startswith(f"`{text}` does not fit shop.sold.v1: ")
