"""The Arrow columns that a schema's values come to, and how a writer's bytes fill them.

A record is a struct, an array a list, a map a map. A union of null and one type is that type's column with nulls; any
other union is a struct of one nullable column for each type, named after it, of which one has the value: Parquet, COPY
and most programs take no Arrow unions. An enum is a dictionary, which keeps the symbols once.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from fastavro import parse_schema

from mainstem.codec.native.plan import Node, Unsupported, compile_nodes
from mainstem.codec.native.resolution import Avro, definition

MAX_COLUMNS: Final = 10_000
MAX_COLUMN_BYTES: Final = 2**31 - 1
"""Text of one column, or items of one list: Arrow's usual types count in 32 bits."""

FORMATS: Final[dict[str, tuple[str, str, int]]] = {
    "null": ("null", "n", 0),
    "boolean": ("bit", "b", 0),
    "int": ("fixed", "i", 4),
    "long": ("fixed", "l", 8),
    "float": ("fixed", "f", 4),
    "double": ("fixed", "g", 8),
    "bytes": ("sized", "z", 0),
    "string": ("sized", "u", 0),
    "enum": ("fixed", "i", 4),
    "int-date": ("fixed", "tdD", 4),
    "int-time-millis": ("fixed", "ttm", 4),
    "long-time-micros": ("fixed", "ttu", 8),
    "long-timestamp-millis": ("fixed", "tsm:UTC", 8),
    "long-timestamp-micros": ("fixed", "tsu:UTC", 8),
    "long-local-timestamp-millis": ("fixed", "tsm:", 8),
    "long-local-timestamp-micros": ("fixed", "tsu:", 8),
    "string-uuid": ("fixed", "w:16", 16),
    "array": ("list", "+l", 0),
    "map": ("map", "+m", 0),
    "record": ("struct", "+s", 0),
}
"""What a kind of Avro is in memory, in the words of Arrow's C data interface, and its bytes where they are fixed.

Source: https://arrow.apache.org/docs/format/CDataInterface.html#data-type-description-format-strings
"""

_NARROW_DIGITS: Final = 38
_WIDE_DIGITS: Final = 76


class Column(NamedTuple):
    """One column; columns.h says what each part means."""

    shape: str
    format: str
    name: str
    nullable: bool
    width: int = 0
    precision: int = 0
    children: tuple[int, ...] = ()
    symbols: tuple[str, ...] = ()
    extension: str = ""


class Shelf:
    """The columns of one schema, as a list in which a child stands behind its parent."""

    def __init__(self, schema: Avro) -> None:
        """Raises Unsupported for a type that holds itself, a decimal beyond 76 digits, and over 10,000 columns."""
        self.named: dict[str, Avro] = {}
        self.schema = parse_schema(schema, named_schemas=self.named)
        self.nodes = compile_nodes(schema)
        self.columns: list[Column] = []
        self._open: set[int] = set()
        self._add("", 0, self.schema, nullable=False)

    def _add(self, name: str, number: int, schema: Avro, *, nullable: bool) -> int:
        node, schema = self.nodes[number], definition(schema, self.named)
        if number in self._open:
            raise Unsupported("a type that holds itself")
        if len(self.columns) >= MAX_COLUMNS:
            raise Unsupported(f"more than {MAX_COLUMNS} columns")
        if node.kind == "union":
            return self._union(name, node, schema, nullable=nullable)
        place = len(self.columns)
        column = _column(node, name, nullable=nullable)
        self.columns.append(column)
        self._open.add(number)
        self.columns[place] = column._replace(children=self._children(node, schema))
        self._open.discard(number)
        return place

    def _children(self, node: Node, schema: Avro) -> tuple[int, ...]:
        if node.kind == "record":
            fields = zip(node.names, node.children, schema["fields"], strict=True)
            return tuple(self._add(name, child, field["type"], nullable=False) for name, child, field in fields)
        if node.kind == "array":
            return (self._add("item", node.children[0], schema["items"], nullable=False),)
        if node.kind == "map":
            place = len(self.columns)
            self.columns.append(Column("struct", "+s", "entries", nullable=False))
            key = len(self.columns)
            self.columns.append(Column("sized", "u", "key", nullable=False))
            value = self._add("value", node.children[0], schema["values"], nullable=False)
            self.columns[place] = self.columns[place]._replace(children=(key, value))
            return (place,)
        return ()

    def _union(self, name: str, node: Node, schema: Avro, *, nullable: bool) -> int:
        members = members_of(node, self.nodes)
        nullable = nullable or len(members) < len(node.children)
        if len(members) < 2:
            only = members[0] if members else 0
            return self._add(name, node.children[only], schema[only], nullable=nullable)
        place = len(self.columns)
        self.columns.append(Column("struct", "+s", name, nullable))
        names = _member_names([definition(schema[member], self.named) for member in members])
        children = tuple(
            self._add(text, node.children[member], schema[member], nullable=True)
            for text, member in zip(names, members, strict=True)
        )
        self.columns[place] = self.columns[place]._replace(children=children)
        return place


def members_of(union: Node, nodes: Any) -> list[int]:
    """The numbers of a union's branches that are not null."""
    return [i for i, child in enumerate(union.children) if nodes[child].kind != "null"]


def _column(node: Node, name: str, *, nullable: bool) -> Column:
    if node.kind.endswith("-decimal"):
        if node.precision > _WIDE_DIGITS:
            raise Unsupported(f"a decimal of more than {_WIDE_DIGITS} digits")
        wide = node.precision > _NARROW_DIGITS
        form = f"d:{node.precision},{node.scale}" + (",256" if wide else "")
        return Column("fixed", form, name, nullable, 32 if wide else 16, node.precision)
    if node.kind == "fixed":
        return Column("fixed", f"w:{node.size}", name, nullable, node.size)
    shape, form, width = FORMATS[node.kind]
    column = Column(shape, form, name, nullable or node.kind == "null", width)
    if node.kind == "enum":
        return column._replace(symbols=node.names)
    return column._replace(extension="arrow.uuid") if node.kind == "string-uuid" else column


def _member_names(branches: list[Avro]) -> list[str]:
    """The types' names, with their namespaces only where two would be alike."""
    full = [str(branch.get("name", branch["type"])) for branch in branches]
    short = [name.rpartition(".")[2] for name in full]
    names = short if len(set(short)) == len(short) else full
    if len(set(names)) < len(names):
        raise Unsupported("two types of one name in a union")
    return names
