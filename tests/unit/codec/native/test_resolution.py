"""What a reader's schema makes of what a writer's wrote.

Source: https://avro.apache.org/docs/1.12.0/specification/#schema-resolution
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer

native = pytest.importorskip("mainstem.codec.native.plan", exc_type=ImportError)
avro = pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)


def record(name: str, *fields: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    """Fields are (name, type) or (name, type, default) or (name, type, default, alias)."""
    made = []
    for field in fields:
        made.append({"name": field[0], "type": field[1]})
        if len(field) > 2:
            made[-1]["default"] = field[2]
        if len(field) > 3:
            made[-1]["aliases"] = [field[3]]
    return {"type": "record", "name": name, "fields": made, **more}


def enum(name: str, *symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def table(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


AB = record("R", ("a", "int"), ("b", "string"))
DEEP = record("Deep", ("r", AB), ("more", array("R")))
RESOLVED: list[tuple[str, Any, Any, Any, Any]] = [
    ("int to long", "int", "long", 1, 1),
    ("int to float", "int", "float", 1, 1.0),
    ("int to double", "int", "double", -1, -1.0),
    ("long to float", "long", "float", 2**40, 2.0**40),
    ("long to double", "long", "double", 1, 1.0),
    ("float to double", "float", "double", 0.5, 0.5),
    ("string to bytes", "string", "bytes", "é", "é".encode()),
    ("bytes to string", "bytes", "string", b"ab", "ab"),
    ("items are promoted", array("int"), array("double"), [1, 2], [1.0, 2.0]),
    ("values are promoted", table("int"), table("double"), {"k": 1}, {"k": 1.0}),
    ("fields in another order", AB, record("R", ("b", "string"), ("a", "int")), {"a": 1, "b": "x"}, {"a": 1, "b": "x"}),
    ("a field is skipped", AB, record("R", ("a", "int")), {"a": 1, "b": "x"}, {"a": 1}),
    ("all are skipped", AB, record("R"), {"a": 1, "b": "x"}, {}),
    ("a default", AB, record("R", ("b", "string"), ("c", "int", 3)), {"a": 1, "b": "x"}, {"b": "x", "c": 3}),
    ("a default list", AB, record("R", ("l", array("int"), [1])), {"a": 1, "b": "x"}, {"l": [1]}),
    ("a default null", AB, record("R", ("n", ["null", "int"], None)), {"a": 1, "b": "x"}, {"n": None}),
    ("a field's alias", AB, record("R", ("z", "int", 0, "a")), {"a": 1, "b": "x"}, {"z": 1}),
    ("a record's alias", AB, record("S", ("a", "int"), aliases=["R"]), {"a": 1, "b": "x"}, {"a": 1}),
    ("another namespace", AB, record("elsewhere.R", ("a", "int")), {"a": 1, "b": "x"}, {"a": 1}),
    ("an enum's default", enum("E", "A", "B"), enum("E", "A", "Z", default="Z"), "B", "Z"),
    ("an enum in another order", enum("E", "A", "B"), enum("E", "B", "A"), "B", "B"),
    ("to a union", "int", ["null", "string", "long"], 1, 1),
    ("to the first branch that fits", "int", ["double", "int"], 1, 1.0),
    ("from a union", ["null", "int"], "long", 1, 1),
    ("from union to union", ["null", "int"], ["string", "double", "null"], 1, 1.0),
    ("null of a union", ["null", "int"], ["int", "null"], None, None),
    ("a record in a union", ["null", AB], ["null", record("R", ("a", "long"))], {"a": 1, "b": "x"}, {"a": 1}),
    (
        "a named type that comes twice",
        DEEP,
        record("Deep", ("r", record("R", ("b", "string"))), ("more", array("R"))),
        {"r": {"a": 1, "b": "x"}, "more": [{"a": 2, "b": "y"}]},
        {"r": {"b": "x"}, "more": [{"b": "y"}]},
    ),
    (
        "whatever is skipped",
        record("R", ("a", array(table(["null", "string"]))), ("e", enum("E", "A")), ("d", "double"), ("z", "int")),
        record("R", ("z", "int")),
        {"a": [{"k": None, "l": "x"}], "e": "A", "d": 1.5, "z": 5},
        {"z": 5},
    ),
    ("no conversion to the reader's logical type", "long", {"type": "long", "logicalType": "timestamp-millis"}, 1, 1),
]

REFUSED: list[tuple[str, Any, Any, Any]] = [
    ("long to int", "long", "int", 1),
    ("string to int", "string", "int", "1"),
    ("a symbol without default", enum("E", "A", "B"), enum("E", "A"), "B"),
    ("an enum of another name", enum("E", "A"), enum("F", "A"), "A"),
    ("a record of another name", AB, record("S", ("a", "int")), {"a": 1, "b": "x"}),
    ("an enum for a record", enum("R", "A"), record("R"), "A"),
    ("another size", {"type": "fixed", "name": "F", "size": 1}, {"type": "fixed", "name": "F", "size": 2}, b"a"),
    ("none of the branches", "int", ["null", "string"], 1),
    ("a branch that the reader does not have", ["null", "int"], "int", None),
    ("items of another type", array("string"), array("int"), ["a"]),
]


def written(schema: Any, value: Any) -> bytes:
    buffer = BytesIO()
    schemaless_writer(buffer, parse_schema(schema), value)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("writer", "reader", "value", "read"), [case[1:] for case in RESOLVED], ids=[case[0] for case in RESOLVED]
)
def test_a_reader_reads_what_a_writer_wrote(writer: Any, reader: Any, value: Any, read: Any) -> None:
    encoded = written(writer, value)

    ours = native.compile_plan(writer, reader).decode(encoded)

    assert repr(ours) == repr(read)
    assert ours == schemaless_reader(BytesIO(encoded), parse_schema(writer), parse_schema(reader))


@pytest.mark.parametrize(
    ("writer", "reader", "value"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_a_reader_cannot_read_is_refused(writer: Any, reader: Any, value: Any) -> None:
    plan = native.compile_plan(writer, reader)

    with pytest.raises(avro.AvroError):
        plan.decode(written(writer, value))


def test_a_mismatch_that_no_value_meets_does_no_harm() -> None:
    plan = native.compile_plan(array(["null", "int"]), array("null"))

    assert plan.decode(written(array(["null", "int"]), [None, None])) == [None, None]


def test_a_field_without_default_is_left_to_fastavro_to_refuse() -> None:
    with pytest.raises(native.Unsupported, match="no default for c"):
        native.compile_plan(AB, record("R", ("c", "int")))


def test_a_default_that_can_be_changed_is_each_records_own() -> None:
    plan = native.compile_plan(AB, record("R", ("l", array("int"), [1]), ("m", table("int"), {"k": 1})))
    encoded = written(AB, {"a": 1, "b": "x"})

    first = plan.decode(encoded)
    first["l"].append(2)
    first["m"].clear()

    assert plan.decode(encoded) == {"l": [1], "m": {"k": 1}}


def test_a_type_that_holds_itself_is_resolved() -> None:
    writer = record("Node", ("n", "int"), ("next", ["null", "Node"]))
    reader = record("Node", ("next", ["null", "Node"]), ("n", "double"))

    encoded = written(writer, {"n": 1, "next": {"n": 2, "next": None}})

    assert native.compile_plan(writer, reader).decode(encoded) == {"n": 1.0, "next": {"n": 2.0, "next": None}}
