"""What the guard refuses, and that nothing which it lets through can crash or fill a decoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.codec.guard import MAX_DEPTH, MAX_EMPTY, check_safe
from mainstem.errors import UNSAFE_SCHEMA, Misconfigured
from tests.thorough import examples

SCHEMAS = Path(__file__).parents[3] / "schemas"


def record(name: str, *types: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{n}", "type": t} for n, t in enumerate(types)],
        **more,
    }


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def table(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


EMPTY = record("Empty")
NO_BYTES = {"type": "fixed", "name": "NoBytes", "size": 0}

RECURSIVE = {
    "directly": record("Node", "Node"),
    "through a union": record("Node", ["null", "Node"]),
    "through an array": record("Node", array("Node")),
    "through a map": record("Node", table("Node")),
    "through another record": record("Node", record("Edge", ["null", "Node"])),
    "through a type in a type": record("Node", array({"type": "Node"})),
    "by its full name": record("Node", ["null", "tree.Node"], namespace="tree"),
    "in its namespace": record("Node", ["null", "Node"], namespace="tree"),
    "in the namespace of its name": record("tree.Node", ["null", "Node"], namespace="other"),
    "in the namespace of its name, without another": record("tree.Node", ["null", "Node"]),
    "in the namespace of an inner name": record("Root", record("tree.Node", ["null", "Node"]), namespace="other"),
    "without a namespace, inside of one": record("Root", record("Node", ["null", "Node"], namespace=""), namespace="x"),
    "with a null namespace": record("Node", ["null", "Node"], namespace=None),
    "as an error": {**record("Node", ["null", "Node"]), "type": "error"},
}
ZERO_SIZE = {
    "nulls": record("R", array("null")),
    "empty records": record("R", array(EMPTY)),
    "records of nulls": record("R", array(record("Nothing", "null", "null"))),
    "records of empty records": record("R", array(record("Nothing", EMPTY, "Empty"))),
    "fixed without bytes": record("R", array(NO_BYTES)),
    "an empty record defined before": record("R", EMPTY, array("Empty")),
    "a fixed without bytes defined before": record("R", NO_BYTES, array("NoBytes")),
    "an empty record of the namespace, not the other of that name": record(
        "R",
        record("Item", "int", namespace=""),
        record("Item", namespace="x"),
        array("Item"),
        namespace="x",
    ),
    "an empty record under its full name": record("R", array(record("I", record("y.Empty"), "y.Empty")), namespace="x"),
    "in a union": record("R", ["null", array("null")]),
    "in a map": record("R", table(array("null"))),
    "in an array": record("R", array(array("null"))),
}
SAFE = {
    "one of each": record("R", "null", "int", ["null", "string"], array("int"), table("null"), array(["null", "int"])),
    "a named type used twice": record("R", record("Money", "long"), "Money", array("Money")),
    "an array of enums": record("R", array({"type": "enum", "name": "E", "symbols": ["A"]})),
    "an array of records with one byte": record("R", array(record("I", "null", "boolean"))),
    "a name that another namespace has too": record("Node", record("a.Node", "int"), ["null", "a.Node"], namespace="b"),
    "a fixed with a byte": record("R", array({"type": "fixed", "name": "F", "size": 1})),
    "logical types": record("R", array({"type": "bytes", "logicalType": "decimal", "precision": 4})),
}


def nested(depth: int) -> dict[str, Any]:
    inner: Any = "int"
    for _ in range(depth):
        inner = array(inner)
    return record("R", inner)


def chained(length: int) -> dict[str, Any]:
    """Records that hold each other, each defined beside the one before it."""
    return record("R", *(record(f"R{n}", f"R{n - 1}" if n else "int") for n in range(length)))


def doubled(times: int) -> dict[str, Any]:
    """Each record holds the one before it twice: 2^times empty records, and not one byte."""
    return record("R", *(record(f"R{n}", f"R{n - 1}", f"R{n - 1}") if n else record("R0") for n in range(times)))


def refused(schema: Any) -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        check_safe(schema, "shop.order.v1")
    assert caught.value.code is UNSAFE_SCHEMA
    assert "shop.order.v1" in caught.value.cause
    return caught.value


@pytest.mark.parametrize("schema", RECURSIVE.values(), ids=RECURSIVE.keys())
def test_a_schema_that_contains_itself_is_refused(schema: Any) -> None:
    assert "refers to itself" in refused(schema).cause


@pytest.mark.parametrize("schema", ZERO_SIZE.values(), ids=ZERO_SIZE.keys())
def test_an_array_of_items_that_can_take_no_bytes_is_refused(schema: Any) -> None:
    assert "no bytes" in refused(schema).cause


@pytest.mark.parametrize("schema", SAFE.values(), ids=SAFE.keys())
def test_other_schemas_are_safe(schema: Any) -> None:
    parse_schema(schema)
    check_safe(schema, "t")


def test_the_projects_own_schemas_are_safe() -> None:
    files = sorted(SCHEMAS.rglob("*.avsc"))
    assert files
    for file in files:
        check_safe(json.loads(file.read_text()), file.name)


def test_the_refusal_names_the_place() -> None:
    assert "at f0.f1[]" in refused(record("Node", record("Edge", "int", array("Node")))).cause
    assert "at its root" in refused(array("null")).cause


def test_an_alias_is_no_name_to_refer_to() -> None:
    """Should fastavro ever resolve one, the guard has to know them too."""
    with pytest.raises(Exception, match="Alias"):
        parse_schema(record("Node", ["null", "Alias"], aliases=["Alias"]))


def test_types_within_types_have_an_end() -> None:
    check_safe(nested(MAX_DEPTH - 2), "t")
    refused(nested(MAX_DEPTH))
    refused(nested(3000))
    check_safe(chained(MAX_DEPTH - 2), "t")
    refused(chained(MAX_DEPTH + 1))


def test_values_without_bytes_have_an_end() -> None:
    check_safe(doubled(4), "t")
    refused(doubled(40))
    check_safe(record("R", *["null"] * (MAX_EMPTY - 1)), "t")
    refused(record("R", *["null"] * (MAX_EMPTY + 1)))


@pytest.mark.parametrize("nonsense", [None, 7, "string", [], {}, {"type": 7}, {"type": None}, {"fields": 3}, ["x", 1]])
def test_what_is_no_schema_does_no_harm(nonsense: Any) -> None:
    check_safe(nonsense, "t")


NAMES = st.sampled_from(["A", "B", "x.A", "y.B"])
SPACES = st.sampled_from([{}, {"namespace": "x"}, {"namespace": "y"}, {"namespace": ""}])


def composite(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.lists(inner, max_size=3)
    records = st.builds(lambda name, space, types: record(name, *types, **space), NAMES, SPACES, fields)
    return st.one_of(records, inner.map(array), inner.map(table), st.lists(inner, min_size=1, max_size=2))


@settings(max_examples=examples(300), deadline=None)
@given(st.recursive(st.one_of(st.sampled_from(["null", "int", "Empty"]), NAMES), composite, max_leaves=12))
def test_whatever_fastavro_reads_as_recursive_is_refused(schema: Any) -> None:
    """fastavro's own resolution of names is the one that counts: it is what recurses."""
    root = record("Root", schema)
    named: dict[str, Any] = {}
    try:
        parsed = parse_schema(root, named_schemas=named)
    except Exception:  # noqa: BLE001 - not a schema, whatever fastavro says of it
        return
    if _has_cycle(parsed, named, ()):
        refused(root)


def _has_cycle(schema: Any, named: Mapping[str, Any], inside: tuple[str, ...]) -> bool:
    if isinstance(schema, list):
        return any(_has_cycle(branch, named, inside) for branch in schema)
    if isinstance(schema, str):
        return schema in inside or (schema in named and _has_cycle(named[schema], named, inside))
    if schema["type"] == "record":
        within = (*inside, schema["name"])
        return schema["name"] in inside or any(_has_cycle(f["type"], named, within) for f in schema["fields"])
    if schema["type"] in ("array", "map"):
        return _has_cycle(schema.get("items") or schema.get("values"), named, inside)
    return False
