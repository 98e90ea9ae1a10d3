"""Random schemas, values of them, and schemas that might read them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

Schema = Any
Values = st.SearchStrategy[Any]
Case = tuple[Schema, Values]

NAIVE = (datetime(1, 1, 3), datetime(9999, 12, 29))  # noqa: DTZ001 - a strategy's bounds have no zone
SYMBOLS = ["RED", "GREEN", "BLUE", "GREY"]


def logical(kind: str, name: str, **more: Any) -> Schema:
    return {"type": kind, "logicalType": name, **more}


def decimals(precision: int, scale: int) -> Values:
    return st.integers(-(10**precision) + 1, 10**precision - 1).map(lambda number: Decimal(number).scaleb(-scale))


INSTANTS = st.datetimes(*NAIVE, timezones=st.just(UTC))
LOCALS = st.datetimes(*NAIVE)
PLAIN: list[Case] = [
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("float", st.floats(width=32)),
    ("double", st.floats()),
    ("string", st.text(max_size=40)),
    ("bytes", st.binary(max_size=40)),
    ({"type": "long", "doc": "plain"}, st.integers(-(2**63), 2**63 - 1)),
    (logical("bytes", "decimal", precision=8, scale=2), decimals(8, 2)),
    (logical("bytes", "decimal", precision=18), decimals(18, 0)),
    (logical("bytes", "decimal", precision=40, scale=12), decimals(28, 12)),
    (logical("int", "date"), st.dates()),
    (logical("int", "time-millis"), st.times()),
    (logical("long", "time-micros"), st.times()),
    (logical("long", "timestamp-millis"), INSTANTS),
    (logical("long", "timestamp-micros"), INSTANTS),
    (logical("long", "local-timestamp-millis"), LOCALS),
    (logical("long", "local-timestamp-micros"), LOCALS),
    (logical("string", "uuid"), st.uuids()),
    (logical("bytes", "unheard-of"), st.binary(max_size=4)),
]


class Names:
    """Names that no other named type of the schema has."""

    def __init__(self) -> None:
        self._numbers: Iterator[int] = itertools.count(1)

    def next(self) -> str:
        return f"T{next(self._numbers)}"


@st.composite
def cases(draw: st.DrawFn, depth: int = 3, names: Names | None = None) -> Case:
    """A schema and a strategy for its values."""
    names = names or Names()
    kind = draw(
        st.sampled_from(["plain", "plain", "named", "array", "map", "union", "record", "record"][: 3 + depth * 2])
    )
    if kind == "plain":
        plain: Case = draw(st.sampled_from(PLAIN))
        return plain
    if kind == "named":
        return draw(named(names))
    if kind == "array":
        schema, values = draw(cases(depth - 1, names))
        return {"type": "array", "items": schema}, st.lists(values, max_size=4)
    if kind == "map":
        schema, values = draw(cases(depth - 1, names))
        return {"type": "map", "values": schema}, st.dictionaries(st.text(max_size=4), values, max_size=4)
    return draw(unions(depth, names) if kind == "union" else records(depth, names))


@st.composite
def named(draw: st.DrawFn, names: Names) -> Case:
    kind = draw(st.sampled_from(["enum", "fixed", "fixed-decimal"]))
    if kind == "enum":
        return {"type": "enum", "name": names.next(), "symbols": SYMBOLS}, st.sampled_from(SYMBOLS)
    fixed = {"type": "fixed", "name": names.next(), "size": 9}
    if kind == "fixed":
        return fixed, st.binary(min_size=9, max_size=9)
    precision = draw(st.sampled_from([6, 18, 20]))
    return {**fixed, "logicalType": "decimal", "precision": precision, "scale": 3}, decimals(precision, 3)


@st.composite
def records(draw: st.DrawFn, depth: int = 3, names: Names | None = None) -> Case:
    names = names or Names()
    name = names.next()
    fields = [draw(cases(depth - 1, names)) for _ in range(draw(st.integers(0, 4)))]
    schema = {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{i}", "type": schema} for i, (schema, _) in enumerate(fields)],
    }
    return schema, st.fixed_dictionaries({f"f{i}": values for i, (_, values) in enumerate(fields)})


@st.composite
def unions(draw: st.DrawFn, depth: int, names: Names) -> Case:
    """Null and others, no two of one Avro type."""
    branches: list[Case] = [("null", st.none())]
    for branch in [draw(cases(depth - 1, names)) for _ in range(draw(st.integers(1, 3)))]:
        if all(may_stand_together(branch[0], schema) for schema, _ in branches):
            branches.append(branch)
    branches = draw(st.permutations(branches))
    return [schema for schema, _ in branches], st.one_of([values for _, values in branches])


def type_of(schema: Schema) -> str:
    if isinstance(schema, list):
        return "union"
    return str(schema["type"]) if isinstance(schema, dict) else str(schema)


def may_stand_together(one: Schema, other: Schema) -> bool:
    """Whether fastavro finds the values of both: for a decimal or a date it converts before it looks."""
    types = {type_of(one), type_of(other)}
    if len(types) == 1 or "union" in types or ("'decimal'" in repr(one) and "'decimal'" in repr(other)):
        return False
    return not ("'date'" in repr((one, other)) and types & {"string", "enum"})


def has_union(schema: Schema) -> bool:
    return "[" in repr(schema).replace("'fields': [", "").replace("'symbols': [", "")


ADDED = [("string", "none"), ("int", 7), (["null", "string"], None), ({"type": "array", "items": "int"}, [1, 2])]
WIDER = {"int": ["long", "float", "double"], "long": ["float", "double"], "float": ["double"], "string": ["bytes"]}


@st.composite
def readers(draw: st.DrawFn, schema: Schema) -> Schema:
    """A schema that may or may not read what the other wrote."""
    change = draw(st.sampled_from(["none", "none", "none", "wrap", "other"]))
    if isinstance(schema, list):
        branches = [draw(readers(branch)) for branch in schema]
        flat = {type_of(branch): branch for branch in branches if not isinstance(branch, list)}
        return draw(st.sampled_from([[*flat.values()] or "null", next(iter(flat.values()), "null")]))
    if change == "other":
        return draw(st.sampled_from(["int", "string", "bytes", "double", "null"]))
    changed = draw(_changed(schema))
    return draw(st.sampled_from([["null", changed], [changed, "null"]])) if change == "wrap" else changed


@st.composite
def _changed(draw: st.DrawFn, schema: Schema) -> Schema:
    kind = type_of(schema)
    if kind == "array":
        return {**schema, "items": draw(readers(schema["items"]))}
    if kind == "map":
        return {**schema, "values": draw(readers(schema["values"]))}
    if kind == "enum":
        return draw(st.sampled_from([schema, {**schema, "symbols": ["RED", "NEW"], "default": "NEW"}]))
    if kind == "record":
        return draw(_record(schema))
    if kind == "fixed":
        return draw(st.sampled_from([schema, {**schema, "size": schema["size"] + 1}]))
    return draw(st.sampled_from([schema, *WIDER.get(kind, [])]))


@st.composite
def _record(draw: st.DrawFn, schema: Schema) -> Schema:
    fields = []
    for field in draw(st.permutations(schema["fields"])):
        fate = draw(st.sampled_from(["keep", "keep", "keep", "drop", "rename"]))
        wanted: dict[str, Any] = {"name": field["name"], "type": draw(readers(field["type"]))}
        if fate == "rename":
            wanted |= {"name": f"new_{field['name']}", "aliases": [field["name"]]}
        if fate != "drop":
            fields.append(wanted)
    for i in range(draw(st.integers(0, 2))):
        added, default = draw(st.sampled_from(ADDED))
        fields.append({"name": f"added{i}", "type": added, "default": default})
    name: dict[str, Any] = draw(
        st.sampled_from([{}, {"namespace": "elsewhere"}, {"name": f"{schema['name']}New", "aliases": [schema["name"]]}])
    )
    return {**schema, **name, "fields": fields}
