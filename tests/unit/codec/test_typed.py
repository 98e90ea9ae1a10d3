"""Dataclasses and TypedDicts as a schema's values, by the native codec and without it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.codec import engine
from mainstem.codec.typed import Typed
from mainstem.errors import BAD_PAYLOAD, SCHEMA_REFUSES, UNSAFE_SCHEMA, Misconfigured, Rejected

LINE = {
    "type": "record",
    "name": "Line",
    "fields": [{"name": "sku", "type": "string"}, {"name": "quantity", "type": "int"}],
}
CARD = {"type": "record", "name": "Card", "fields": [{"name": "last_four", "type": "string"}]}
CASH = {"type": "record", "name": "Cash", "fields": [{"name": "till", "type": "int"}]}
ORDER: Mapping[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "first", "type": ["null", LINE]},
        {"name": "lines", "type": {"type": "array", "items": "Line"}},
        {"name": "by_sku", "type": {"type": "map", "values": "Line"}},
        {"name": "spare", "type": ["null", {"type": "array", "items": "Line"}]},
        {"name": "paid", "type": ["null", CARD, CASH]},
        {"name": "extra", "type": {"type": "record", "name": "Extra", "fields": [{"name": "note", "type": "string"}]}},
    ],
}


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    quantity: int

    def __post_init__(self) -> None:
        if self.quantity < 0:
            raise ValueError(f"{self.quantity} of {self.sku}")


@dataclass
class Card:
    last_four: str


@dataclass
class Cash:
    till: int


@dataclass
class Order:
    id: str
    total: Decimal
    at: datetime
    first: Line | None
    lines: list[Line]
    by_sku: dict[str, Line]
    spare: list[Line] | None
    paid: Card | Cash | None
    extra: dict[str, str]
    seen: list[str] = field(default_factory=list, init=False, compare=False)


class Note(TypedDict):
    text: str
    line: Line


OTHER = make_dataclass("Other", [("sku", str), ("quantity", int)])


class Stub(TypedDict):
    sku: str


def order(**changes: Any) -> Order:
    values = {
        "id": "o1",
        "total": Decimal("12.50"),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "first": Line("a", 1),
        "lines": [Line("a", 1), Line("ü", 2)],
        "by_sku": {"a": Line("a", 1)},
        "spare": [Line("s", 0)],
        "paid": Cash(3),
        "extra": {"note": "n"},
    }
    return Order(**{**values, **changes})


@pytest.fixture(params=["native", "fastavro"], autouse=True)
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "native":
        pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)
    monkeypatch.setenv(engine.VARIABLE, request.param)
    return str(request.param)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"first": None, "paid": None, "spare": None},
        {"paid": Card("1234")},
        {"lines": [], "by_sku": {}, "spare": []},
    ],
)
def test_a_dataclass_comes_back_as_itself_with_all_that_is_in_it(changes: Mapping[str, Any]) -> None:
    typed = Typed(Order, ORDER)
    sent = order(**changes)
    raw = typed.encode(sent, b"frame")
    assert raw.startswith(b"frame")
    assert typed.decode(raw, len(b"frame")) == sent


def test_the_bytes_are_those_of_the_same_dict() -> None:
    lines = [{"sku": "a", "quantity": 1}]
    schema = {"type": "record", "name": "Bag", "fields": [{"name": "lines", "type": {"type": "array", "items": LINE}}]}
    bag = make_dataclass("Bag", [("lines", list[Line])])
    plain = Typed(dict, schema).encode({"lines": lines})
    assert Typed(bag, schema).encode(bag([Line("a", 1)])) == plain
    assert Typed(dict, schema).decode(plain) == {"lines": lines}


def test_a_typed_dict_is_a_dict_whose_records_are_what_it_says() -> None:
    schema = {
        "type": "record",
        "name": "Note",
        "fields": [{"name": "text", "type": "string"}, {"name": "line", "type": LINE}],
    }
    typed = Typed(Note, schema)
    note: Note = {"text": "t", "line": Line("a", 1)}
    assert typed.decode(typed.encode(note)) == note


def test_bytes_of_another_schema_are_read_as_ones_own() -> None:
    newer = {**LINE, "fields": [{"name": "colour", "type": "string"}, *LINE["fields"]]}
    written = Typed(dict, newer).encode({"colour": "red", "sku": "a", "quantity": 1})
    reading = Typed(Line, LINE, newer)
    assert reading.decode(written) == Line("a", 1)
    with pytest.raises(TypeError, match="does not write"):
        reading.encode(Line("a", 1))


def test_a_field_that_the_writer_did_not_know_has_its_default() -> None:
    older = {**LINE, "fields": LINE["fields"][:1]}
    wanted = {**LINE, "fields": [LINE["fields"][0], {"name": "quantity", "type": "int", "default": 7}]}
    assert Typed(Line, wanted, older).decode(Typed(dict, older).encode({"sku": "a"})) == Line("a", 7)


def test_what_a_class_refuses_is_a_bad_payload_that_quotes_no_value() -> None:
    bad = Typed(dict, LINE).encode({"sku": "secret", "quantity": -1})
    with pytest.raises(Rejected, match="ValueError") as told:
        Typed(Line, LINE).decode(bad)
    assert told.value.code is BAD_PAYLOAD
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02a\x02\x02"])
def test_bytes_that_do_not_decode_are_a_bad_payload(raw: bytes) -> None:
    with pytest.raises(Rejected) as told:
        Typed(Line, LINE).decode(raw)
    assert told.value.code is BAD_PAYLOAD


@pytest.mark.parametrize("value", [Line("a", 2**40), Line(7, 1), Card("1"), None, "text"])  # type: ignore[arg-type]
def test_a_value_that_is_not_of_the_schema_is_refused(value: Any) -> None:
    with pytest.raises(Rejected) as told:
        Typed(Line, LINE).encode(value)
    assert told.value.code is SCHEMA_REFUSES


def test_an_attribute_that_is_gone_is_refused() -> None:
    card = Card("1")
    del card.last_four
    with pytest.raises(Rejected):
        Typed(Card, CARD).encode(card)


@pytest.mark.parametrize(
    ("type_", "schema", "said"),
    [
        (make_dataclass("Line", [("sku", str)]), LINE, "differ in quantity"),
        (make_dataclass("Line", [("sku", str), ("quantity", int), ("colour", str)]), LINE, "differ in colour"),
        (Stub, LINE, "differ in quantity"),
        (
            make_dataclass(
                "Two", [("one", Line), ("other", make_dataclass("Other", [("sku", str), ("quantity", int)]))]
            ),
            {
                "type": "record",
                "name": "Two",
                "fields": [{"name": "one", "type": LINE}, {"name": "other", "type": "Line"}],
            },
            "cannot be both Line and Other",
        ),
        (
            make_dataclass("Paid", [("by", Line | Cash)]),
            {"type": "record", "name": "Paid", "fields": [{"name": "by", "type": [CARD, CASH]}]},
            "no record of the union is named Line; it has Card, Cash",
        ),
        (
            make_dataclass("Paid", [("by", Card | Cash)]),
            {"type": "record", "name": "Paid", "fields": [{"name": "by", "type": CARD}]},
            "cannot be one of Card, Cash",
        ),
        (make_dataclass("Line", [("sku", "Nowhere"), ("quantity", int)]), LINE, "annotations of Line: name 'Nowhere'"),
    ],
)
def test_a_type_that_does_not_fit_the_schema_is_refused_at_once(type_: Any, schema: Any, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        Typed(type_, schema)


TREE = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "n", "type": "int"}, {"name": "of", "type": {"type": "array", "items": "Tree"}}],
}


def test_a_record_that_holds_itself_is_an_object_that_does_or_is_refused_where_bytes_could_end_the_process(
    codec: str,
) -> None:
    if codec == "fastavro":
        for type_, schema, writer in ((Tree, TREE, None), (Line, LINE, TREE)):
            with pytest.raises(Misconfigured) as told:
                Typed[Any](type_, schema, writer)
            assert told.value.code is UNSAFE_SCHEMA
        return
    typed = Typed(Tree, TREE)
    planted = Tree(1, [Tree(2, []), Tree(3, [Tree(4, [])])])
    assert typed.decode(typed.encode(planted)) == planted
    leaf: Leaf = {"n": 1, "of": [{"n": 2, "of": []}]}
    described = Typed(Leaf, TREE)
    assert described.decode(described.encode(leaf)) == leaf


def test_one_class_may_be_two_records() -> None:
    addresses = [{**CARD, "name": "Billing"}, {**CARD, "name": "Shipping"}]
    fields = [{"name": name, "type": ["null", one]} for name, one in zip("bs", addresses, strict=True)]
    both = make_dataclass("Both", [("b", Card | None), ("s", Card | None)])
    typed = Typed[Any](both, {"type": "record", "name": "Both", "fields": fields})
    for sent in (both(Card("1"), Card("2")), both(None, Card("2"))):
        assert typed.decode(typed.encode(sent)) == sent


@dataclass
class Tree:
    n: int
    of: list[Tree]


class Leaf(TypedDict):
    n: int
    of: list[Leaf]


@given(st.lists(st.tuples(st.text(), st.integers(0, 2**31 - 1)), max_size=5), st.one_of(st.none(), st.text()))
def test_both_codecs_write_the_same_bytes(lines: list[tuple[str, int]], card: str | None) -> None:
    pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)
    sent = order(lines=[Line(*line) for line in lines], paid=None if card is None else Card(card))
    typed = Typed(Order, ORDER)
    other = Typed(Order, ORDER)
    other._plan = None
    assert typed.encode(sent) == other.encode(sent)
    assert typed.decode(other.encode(sent)) == other.decode(typed.encode(sent)) == sent


class Leaving(BaseException):
    """No error of a record's."""


def test_what_ends_a_program_passes_through() -> None:
    @dataclass
    class Last:
        sku: str
        quantity: int

        def __post_init__(self) -> None:
            raise Leaving

    raw = Typed(dict, LINE).encode({"sku": "a", "quantity": 1})
    with pytest.raises(Leaving):
        Typed(Last, LINE).decode(raw)


def test_neither_way_keeps_anything() -> None:
    typed, sent = Typed(Order, ORDER), order()
    raw = typed.encode(sent)

    def once() -> None:
        typed.decode(typed.encode(sent))
        for bad in (raw[:-1], b""):
            with pytest.raises(Rejected):
                typed.decode(bad)

    for _ in range(50):
        once()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(500):
        once()
    gc.collect()
    assert sys.getallocatedblocks() - before < 300
