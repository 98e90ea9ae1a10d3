"""What the coercer takes, what it refuses, and how it says so."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from mainstem.codec.coerce import SHOWN_FIELDS, Coercer
from mainstem.errors import FieldError, Misconfigured, RequestRefused

ROOT = Path(__file__).parents[3]
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
LOCAL = datetime(2017, 1, 2, 5, 5, 54)  # noqa: DTZ001 - a time without zone is the point


def record(**types: Any) -> dict[str, Any]:
    return {"type": "record", "name": "thing", "fields": [{"name": n, "type": t} for n, t in types.items()]}


def coerce(avro: Any, value: Any, **options: bool) -> Any:
    return Coercer(record(field=avro), **options).coerce({"field": value})["field"]


def refused(coercer: Coercer, data: Any) -> tuple[FieldError, ...]:
    with pytest.raises(RequestRefused) as caught:
        coercer.coerce(data)
    assert caught.value.status == 422
    assert caught.value.code.number == "MS-104"
    return caught.value.fields


def read_back(schema: Mapping[str, Any], data: Any) -> Any:
    buffer = BytesIO()
    schemaless_writer(buffer, parse_schema(dict(schema)), data)
    buffer.seek(0)
    return schemaless_reader(buffer, parse_schema(dict(schema)), None)


@pytest.fixture(scope="module")
def basket_schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "schemas/raw/till/basket.v1.avsc").read_text())
    return loaded


@pytest.fixture
def basket() -> dict[str, Any]:
    line = {"product_id": "844179", "quantity": 2, "sales_value": "5.12"}
    discounts = {"retail_disc": "1.17", "coupon_disc": "0.00", "coupon_match_disc": "0.00"}
    return {
        "basket_id": "31198892591",
        "household_id": "2368",
        "store_id": "443",
        "purchased_at": "2017-01-02T05:05:54Z",
        "lines": [{**line, **discounts} for _ in range(4)],
    }


@pytest.mark.parametrize(
    ("avro", "value", "expected"),
    [
        ("string", "é", "é"),
        ("int", 5, 5),
        ("int", "-5", -5),
        ("long", str(2**63 - 1), 2**63 - 1),
        ("double", "1.5e3", 1500.0),
        ("double", 2, 2.0),
        ("boolean", "true", True),
        ("boolean", False, False),
        ("bytes", "aGk=", b"hi"),
        ("bytes", b"hi", b"hi"),
        (MONEY, "5.10", Decimal("5.10")),
        (MONEY, "-9999.99", Decimal("-9999.99")),
        (MONEY, 5, Decimal(5)),
        (MONEY, Decimal("5.1"), Decimal("5.1")),
        (MONEY, Decimal("0E+9"), Decimal(0)),
        (INSTANT, "2017-01-02T05:05:54.123456+02:00", datetime(2017, 1, 2, 3, 5, 54, 123456, tzinfo=UTC)),
        (INSTANT, datetime(2017, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2017, 1, 1, 22, tzinfo=UTC)),
        ({"type": "long", "logicalType": "timestamp-millis"}, "1969-12-31T23:59:59.9999Z",
         datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, "2017-01-02T05:05:54",
         LOCAL),
        ({"type": "int", "logicalType": "date"}, "2017-01-02", date(2017, 1, 2)),
        ({"type": "int", "logicalType": "time-millis"}, "05:06:07.1239", time(5, 6, 7, 123000)),
        ({"type": "string", "logicalType": "uuid"}, "83834062-67b3-4cf5-ac80-f08ed535fe3a",
         UUID("83834062-67b3-4cf5-ac80-f08ed535fe3a")),
        ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "B", "B"),
        ({"type": "fixed", "name": "f", "size": 2}, "aGk=", b"hi"),
        ({"type": "array", "items": "int"}, ["1", 2], [1, 2]),
        ({"type": "map", "values": MONEY}, {"a": "1.00"}, {"a": Decimal("1.00")}),
        (["null", "int"], None, None),
        (["null", "int"], "5", 5),
        (["null", "string", "long"], "5", "5"),
        (["null", "string", "long"], 5, 5),
        (["string", INSTANT], datetime(2017, 1, 2, tzinfo=UTC), datetime(2017, 1, 2, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_value_that_fits_becomes_the_python_value_that_avro_takes(avro: Any, value: Any, expected: Any) -> None:
    converted = coerce(avro, value)

    assert (converted, type(converted)) == (expected, type(expected))
    assert read_back(record(field=avro), {"field": converted}) == {"field": expected}


@pytest.mark.parametrize(
    ("avro", "value", "expected"),
    [
        ("string", 5, "string"),
        ("string", "\ud800", "string"),
        ("int", True, "int"),
        ("int", 2**31, "int"),
        ("int", "2147483648", "int"),
        ("int", " 5", "int"),
        ("int", "5\n", "int"),
        ("int", "\u0665", "int"),
        ("int", 5.0, "int"),
        ("long", "9" * 30, "long"),
        ("float", 1e39, "float"),
        ("double", "nan", "double"),
        ("double", 10**400, "double"),
        ("boolean", 1, "boolean"),
        ("boolean", "yes", "boolean"),
        ("bytes", "no base64!", "bytes as base64 text"),
        (MONEY, 5.12, "decimal(6,2), money as text and never as a float"),
        (MONEY, True, "decimal(6,2), money as text and never as a float"),
        (MONEY, "5.123", "decimal(6,2), money as text and never as a float"),
        (MONEY, "10000.00", "decimal(6,2), money as text and never as a float"),
        (MONEY, 10000, "decimal(6,2), money as text and never as a float"),
        (MONEY, "1e3", "decimal(6,2), money as text and never as a float"),
        (MONEY, "NaN", "decimal(6,2), money as text and never as a float"),
        (MONEY, Decimal("NaN"), "decimal(6,2), money as text and never as a float"),
        (MONEY, Decimal("1E+999999"), "decimal(6,2), money as text and never as a float"),
        (MONEY, Decimal("0.001"), "decimal(6,2), money as text and never as a float"),
        (INSTANT, "2017-01-02T05:05:54", "RFC 3339 time with zone"),
        (INSTANT, LOCAL, "RFC 3339 time with zone"),
        (INSTANT, 1483333554, "RFC 3339 time with zone"),
        (INSTANT, "1483333554", "RFC 3339 time with zone"),
        (INSTANT, "2017-02-30T05:05:54Z", "RFC 3339 time with zone"),
        (INSTANT, "0001-01-01T00:00:00+14:00", "RFC 3339 time with zone"),
        ({"type": "int", "logicalType": "date"}, datetime(2017, 1, 2, tzinfo=UTC), "date (YYYY-MM-DD)"),
        ({"type": "int", "logicalType": "time-millis"}, time(5, tzinfo=UTC), "time of day (HH:MM:SS)"),
        ({"type": "string", "logicalType": "uuid"}, b"1234567890123456", "uuid"),
        ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "C", "one of A, B"),
        ({"type": "fixed", "name": "f", "size": 3}, b"hi", "bytes of the schema's length as base64 text"),
        ({"type": "array", "items": "int"}, {"0": 1}, "array"),
        ({"type": "map", "values": "int"}, [1], "object"),
        (["null", "int"], "x", "int or null"),
        (["int", "null", "string"], [], "int or string or null"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_with_what_was_expected(avro: Any, value: Any, expected: str) -> None:
    assert refused(Coercer(record(field=avro)), {"field": value}) == (FieldError("field", expected),)


def test_every_wrong_field_is_named_with_its_path(basket_schema: dict[str, Any], basket: dict[str, Any]) -> None:
    basket["lines"][1]["sales_value"] = 5.12
    basket["lines"][2]["quantty"] = 1
    del basket["lines"][3]["product_id"]

    assert refused(Coercer(basket_schema), basket) == (
        FieldError("lines[1].sales_value", "decimal(12,2), money as text and never as a float"),
        FieldError("lines[2].quantty", "no such field; did you mean 'quantity'?"),
        FieldError("lines[3].product_id", "string (it is missing)"),
    )


def test_a_refusal_never_holds_a_value(basket_schema: dict[str, Any], basket: dict[str, Any]) -> None:
    basket["household_id"] = ["canary-7f3"]
    basket["lines"][0]["quantity"] = "canary-7f3"

    with pytest.raises(RequestRefused) as caught:
        Coercer(basket_schema).coerce(basket)

    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert "canary-7f3" not in " ".join(f"{error} {error!r} {getattr(error, 'fields', '')}" for error in chain)


def test_the_keys_of_a_map_are_not_shown() -> None:
    coercer = Coercer(record(field={"type": "map", "values": record(inner="int") | {"name": "value"}}))

    assert refused(coercer, {"field": {"canary": {"inner": "x"}}}) == (FieldError("field[*].inner", "int"),)
    assert refused(coercer, {"field": {5: {"inner": 1}}}) == (FieldError("field[*]", "string"),)


def test_an_unknown_name_is_made_safe_to_print() -> None:
    (error,) = refused(Coercer(record(field="int")), {"field": 1, "a\nb" + "c" * 1000: 1})

    assert error.field == "a?b" + "c" * 61


@pytest.mark.parametrize(("wrong", "named"), [(21, SHOWN_FIELDS), (100_000, 1)])
def test_a_refusal_is_bounded_and_of_very_many_names_the_first(wrong: int, named: int) -> None:
    fields = refused(Coercer(record(field={"type": "array", "items": "int"})), {"field": ["x"] * wrong})

    assert fields == tuple(FieldError(f"field[{n}]", "int") for n in range(named))


@pytest.mark.parametrize("data", [None, 5, "text", [], [("field", 1)]])
def test_data_that_is_no_object_is_refused(data: Any) -> None:
    assert refused(Coercer(record(field="int")), data) == (FieldError("", "object"),)


def test_a_field_left_out_gets_its_default_as_a_python_value() -> None:
    definition = {
        "type": "record",
        "name": "thing",
        "fields": [
            {"name": "price", "type": MONEY, "default": "\u00ff"},
            {"name": "at", "type": INSTANT, "default": 1_000_000},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}, "default": 1},
            {"name": "tags", "type": {"type": "array", "items": "string"}, "default": ["a"]},
            {"name": "part", "type": record(size="int") | {"name": "part"}, "default": {"size": 3}},
            {"name": "raw", "type": "bytes", "default": "\u00ff"},
            {"name": "note", "type": ["null", "string"]},
            {"name": "kind", "type": ["string", "null"], "default": "x"},
        ],
    }

    filled = Coercer(definition).coerce({})

    assert filled == {
        "price": Decimal("-0.01"),
        "at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "day": date(1970, 1, 2),
        "tags": ["a"],
        "part": {"size": 3},
        "raw": b"\xff",
        "note": None,
        "kind": "x",
    }
    assert read_back(definition, filled) == filled


def test_a_default_is_not_shared_between_records() -> None:
    field = {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []}
    coercer = Coercer({"type": "record", "name": "thing", "fields": [field]})

    coercer.coerce({})["tags"].append("mine")

    assert coercer.coerce({}) == {"tags": []}


def test_a_time_without_zone_is_utc_only_where_that_is_said() -> None:
    expected = datetime(2017, 1, 2, 5, 5, 54, tzinfo=UTC)

    assert coerce(INSTANT, "2017-01-02 05:05:54", naive_is_utc=True) == expected
    assert coerce(INSTANT, LOCAL, naive_is_utc=True) == expected
    assert coerce(INSTANT, "2017-01-02T06:05:54+01:00", naive_is_utc=True) == expected


def test_of_a_union_of_records_the_one_that_fits_is_encoded() -> None:
    # By its own rules fastavro would write the text as a uuid, and a reader would fail on it.
    card = record(token={"type": "string", "logicalType": "uuid"}) | {"name": "card"}
    voucher = record(token="string") | {"name": "voucher"}
    definition = record(paid=["null", card, voucher])

    converted = Coercer(definition).coerce({"paid": {"token": "SPRING"}})

    assert read_back(definition, converted) == {"paid": {"token": "SPRING"}}


def test_a_type_that_is_used_twice_is_found_by_its_name() -> None:
    first = record(amount=MONEY) | {"name": "money_box", "namespace": "shop"}
    definition = {"type": "record", "name": "thing", "namespace": "shop", "fields": [
        {"name": "left", "type": first}, {"name": "right", "type": ["null", "money_box"]},
    ]}  # fmt: skip

    coercer = Coercer(definition)

    assert coercer.coerce({"left": {"amount": 1}, "right": {"amount": "2"}})["right"] == {"amount": Decimal(2)}
    assert refused(coercer, {"left": {"amount": 1}, "right": {"amount": "x"}})[0].field == "right.amount"


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "record", "name": "tree", "fields": [{"name": "child", "type": ["null", "tree"]}]},
        {"type": "record", "name": "thing", "fields": [{"name": "field", "type": "nonsense"}]},
        {"type": "record", "fields": []},
        {"type": "array", "items": "int"},
    ],
    ids=["recursive", "unknown type", "no name", "not a record"],
)
def test_a_schema_that_cannot_be_used_is_a_misconfiguration(definition: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        Coercer(definition)


def test_a_schema_that_fastavro_has_parsed_already_is_taken(basket_schema: dict[str, Any], basket: Any) -> None:
    parsed: Any = parse_schema(basket_schema)

    assert Coercer(parsed).coerce(basket) == Coercer(basket_schema).coerce(basket)


def test_every_product_of_the_catalogue_fits_its_schema() -> None:
    schema = json.loads((ROOT / "schemas/raw/catalog/product.v1.avsc").read_text())
    coercer = Coercer(schema)

    with (ROOT / "data/journey/products.csv").open(newline="") as file:
        rows = [{name: text or None for name, text in row.items()} for row in csv.DictReader(file)]

    assert [coercer.coerce(row) for row in rows] == rows
    assert len(rows) == 11_997
