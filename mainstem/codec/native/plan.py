"""Compiles a writer's and a reader's schema, once, into the flat list of steps that the extension executes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fastavro import parse_schema, schemaless_writer
from fastavro.validation import validate

from mainstem.codec.native import _avro
from mainstem.codec.native.resolution import PROMOTIONS, Avro, Pair, definition, kind_of
from mainstem.codec.native.wire import Wires

MAX_DEPTH: Final = 128
"""Arrays, maps and records within each other in one value: more are refused, which a recursive schema may ask for."""
MAX_MEMORY_BYTES: Final = 160 * 1024 * 1024
"""About so much memory may the objects of one value take: a list of empty lists takes 80 times its bytes."""

_SMALLEST: Final = {"null": 0, "float": 4, "double": 8}
_RECORD_BYTES: Final = 180
_FIELD_BYTES: Final = 12
_OBJECT_BYTES: Final = 120
_SCALAR_BYTES: Final = 64
_DECIMAL_BYTES: Final = 104
_COSTS: Final = {
    "null": 1,
    "boolean": 1,
    "enum": 1,
    "int": 32,
    "long": 32,
    "float": 24,
    "double": 24,
    "string-uuid": 140,
}
_HIGHEST: Final = 2**40
"""Types that hold each other twice come to sums beyond 64 bits."""


Mapping.register(_avro.Record)


class Unsupported(Exception):
    """The schema has a part that is left to fastavro."""


class Node(NamedTuple):
    """One step; avro.h says what each part means to which kind."""

    kind: str
    size: int = 0
    scale: int = 0
    precision: int = 0
    children: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    skipped: bytes = b""
    fills: tuple[bytes | None, ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()
    wire: str = ""
    smallest: int = 1
    cost: int = _SCALAR_BYTES
    make: type[Any] | None = None


_UNFINISHED: Final = Node("mismatch", smallest=0)


def compile_plan(
    writer: Avro,
    reader: Avro | None = None,
    *,
    classes: Mapping[str, type[Any]] = MappingProxyType({}),
    max_depth: int = MAX_DEPTH,
    max_memory: int = MAX_MEMORY_BYTES,
) -> _avro.Plan:
    """How bytes of the writer's schema become values of the reader's, or of its own; without a reader it also encodes.

    `classes` gives by a record's full name the class whose instances its values are: it is called with the fields by
    name, and its attributes are written. Other records are dicts.

    Raises Unsupported, and what fastavro's parse_schema raises of a schema that is not valid.
    """
    return _avro.Plan(list(compile_nodes(writer, reader, classes)), max_depth, max_memory)


def compile_nodes(
    writer: Avro, reader: Avro | None = None, classes: Mapping[str, type[Any]] = MappingProxyType({})
) -> Sequence[Node]:
    """The plan's steps; the first is the whole value's."""
    writer_named: dict[str, Avro] = {}
    reader_named: dict[str, Avro] = {}
    written = parse_schema(writer, named_schemas=writer_named)
    wanted = None if reader is None else parse_schema(reader, named_schemas=reader_named)
    compiler = _Compiler(written, wanted, Pair(writer_named, reader_named), classes)
    compiler.add(written, wanted)
    return compiler.nodes


class _Compiler:
    def __init__(self, written: Avro, wanted: Avro | None, pair: Pair, classes: Mapping[str, type[Any]]) -> None:
        self.nodes: list[Node] = []
        self._wires = Wires(_bare(written), pair.writer)
        self._reader_wires = Wires(_bare(wanted), pair.reader)
        self._pair = pair
        self._classes = classes
        self._known: dict[tuple[str, str], int] = {}

    def add(self, written: Avro, wanted: Avro | None) -> int:
        """The number of the step for that part; a named type's is made once, so that it may hold itself."""
        if wanted is not None and not isinstance(written, list):
            wanted = self._pair.pick(written, wanted)
            if wanted is None:
                return self._append(Node("mismatch", wire=""))
        written = definition(written, self._pair.writer)
        wanted = None if wanted is None else definition(wanted, self._pair.reader)
        key = (_name(written), _name(wanted))
        if key[0] and key in self._known:
            return self._known[key]
        number = self._append(_UNFINISHED)
        self._known[key] = number
        node = self._node(written, wanted)
        wire = self._wires.of(written)
        if wanted is not None and self._reader_wires.of(wanted) != wire:
            wire = ""
        self.nodes[number] = node._replace(
            wire=wire, smallest=min(node.smallest, _HIGHEST), cost=min(node.cost, _HIGHEST)
        )
        return number

    def _append(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _node(self, written: Avro, wanted: Avro | None) -> Node:
        if isinstance(written, list):
            children = tuple(self.add(branch, wanted) for branch in written)
            smallest = min((self.nodes[child].smallest for child in children), default=0)
            return Node("union", children=children, smallest=1 + smallest, cost=self._dearest(children))
        kind = kind_of(written)
        if kind == "record":
            return self._record(written, wanted)
        if kind in ("array", "map"):
            inner = "items" if kind == "array" else "values"
            return Node(kind, children=(self.add(written[inner], None if wanted is None else wanted[inner]),))
        if kind == "enum":
            return _enum(written, wanted)
        return _scalar(kind, written, wanted)

    def _dearest(self, children: Sequence[int]) -> int:
        """A scalar's share in what holds it; containers are charged when they are read."""
        return max((_share(self.nodes[child]) for child in children), default=_SCALAR_BYTES)

    def _record(self, written: Avro, wanted: Avro | None) -> Node:
        to_fill = {} if wanted is None else {field["name"]: field for field in wanted["fields"]}
        aliases = {alias: field for field in to_fill.values() for alias in field.get("aliases", ())}
        children, names, skipped = [], [], bytearray()
        for field in written["fields"]:
            name = field["name"]
            taken = None if wanted is None else to_fill.pop(name, None) or _left(aliases.get(name), to_fill)
            skipped.append(wanted is not None and taken is None)
            names.append(str(taken["name"] if taken else name))
            children.append(self.add(field["type"], taken["type"] if taken else None))
        if missing := [name for name, field in to_fill.items() if "default" not in field]:
            raise Unsupported(f"no default for {missing[0]}")
        make = self._classes.get(_name(written if wanted is None else wanted))
        return Node(
            "record",
            children=tuple(children),
            names=tuple(names),
            skipped=bytes(skipped),
            fills=tuple(self._fill(field, reads=wanted is not None) for field in written["fields"]),
            defaults=tuple((str(name), field["default"]) for name, field in to_fill.items()),
            smallest=sum(self.nodes[child].smallest for child in children),
            cost=_RECORD_BYTES
            + sum(_FIELD_BYTES + _share(self.nodes[child]) for child in children)
            + _FIELD_BYTES * len(to_fill)
            + (_OBJECT_BYTES if make else 0),
            make=make,
        )

    def _fill(self, field: Mapping[str, Any], *, reads: bool) -> bytes | None:
        """What fastavro writes where the field is left out; None where it refuses."""
        if reads or not ("default" in field or "null" in field["type"]):
            return None
        named = dict(self._pair.writer)
        buffer = BytesIO()
        with suppress(Exception):  # it raises whatever a default of the wrong type makes it raise
            alone = {"type": "record", "name": "mainstem_fill", "fields": [field]}
            schema = {**alone, "__fastavro_parsed": True, "__named_schemas": named}
            schemaless_writer(buffer, schema, {})
            return buffer.getvalue() if validate({}, schema, raise_errors=False) else None
        return None


def _bare(schema: Avro) -> Avro:
    """Without what fastavro noted on it: its list of named types holds the schema itself."""
    if not isinstance(schema, Mapping):
        return schema
    return {key: value for key, value in schema.items() if not key.startswith("__")}


def _name(schema: Avro | None) -> str:
    return str(schema.get("name", "")) if isinstance(schema, Mapping) else ""


def _left(field: Mapping[str, Any] | None, to_fill: dict[str, Any]) -> Mapping[str, Any] | None:
    """An alias's field, unless a field of the writer has filled it already."""
    return None if field is None else to_fill.pop(field["name"], None)


def _share(node: Node) -> int:
    return 1 if node.kind in ("record", "array", "map") else node.cost


def _enum(written: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> Node:
    symbols = [str(symbol) for symbol in written["symbols"]]
    if wanted is None:
        return Node("enum", names=tuple(symbols), skipped=bytes(len(symbols)), cost=1)
    known, default = wanted["symbols"], wanted.get("default")
    read = [symbol if symbol in known else default for symbol in symbols]
    return Node(
        "enum", names=tuple(symbol or "" for symbol in read), skipped=bytes(not symbol for symbol in read), cost=1
    )


def _scalar(kind: str, written: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> Node:
    if kind.endswith("-decimal"):
        if "precision" not in written:
            raise Unsupported("a decimal without a precision")
        size = written.get("size", 0)
        return Node(
            kind,
            size=size,
            scale=written.get("scale", 0),
            precision=written["precision"],
            smallest=size or 1,
            cost=_DECIMAL_BYTES + size,
        )
    if kind == "fixed":
        return Node(kind, size=written["size"], smallest=written["size"], cost=_SCALAR_BYTES + written["size"])
    if wanted is not None and kind == written["type"]:
        kind = PROMOTIONS.get((kind, wanted["type"]), kind)
    return Node(kind, smallest=_SMALLEST.get(kind, 1), cost=_COSTS.get(kind, _SCALAR_BYTES))
