"""How a writer's records become rows of PostgreSQL's binary COPY: which field fills which column, and as what.

Only where the bytes are those that psycopg writes for the value that a row has: whatever else there is in a schema is
Unsupported, and left to rows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from mainstem.codec.native import _avro
from mainstem.codec.native.plan import MAX_DEPTH, MAX_MEMORY_BYTES, Node, Unsupported, compile_nodes
from mainstem.codec.native.resolution import Avro

MAX_COLUMNS: Final = 1600
"""A table of PostgreSQL has no more."""

_CELLS: Final[Mapping[str, frozenset[str]]] = {
    "boolean": frozenset({"bool"}),
    "int": frozenset({"int8", "numeric"}),
    "long": frozenset({"int8", "numeric"}),
    "int-to-double": frozenset({"float8"}),
    "long-to-double": frozenset({"float8"}),
    "float": frozenset({"float8"}),
    "double": frozenset({"float8"}),
    "bytes": frozenset({"bytea"}),
    "fixed": frozenset({"bytea"}),
    "string-to-bytes": frozenset({"bytea"}),
    "string": frozenset({"text"}),
    "bytes-to-string": frozenset({"text"}),
    "enum": frozenset({"text"}),
    "bytes-decimal": frozenset({"numeric"}),
    "fixed-decimal": frozenset({"numeric"}),
    "int-date": frozenset({"date"}),
    "int-time-millis": frozenset({"time"}),
    "long-time-micros": frozenset({"time"}),
    "long-timestamp-millis": frozenset({"timestamptz"}),
    "long-timestamp-micros": frozenset({"timestamptz"}),
    "long-local-timestamp-millis": frozenset({"timestamp"}),
    "long-local-timestamp-micros": frozenset({"timestamp"}),
    "string-uuid": frozenset({"uuid"}),
}
"""What a kind of Avro may be to PostgreSQL. Integers travel as int8 and floats as float8, however they are stored."""

_MOST_DIGITS: Final = 76
_NULL: Final = b"\xff\xff\xff\xff"


class Records:
    """A writer's records as rows of the reader's fields, or of their own."""

    def __init__(self, writer: Avro, reader: Avro | None = None) -> None:
        """Raises Unsupported, as `compile_plan` does, and where the value is no record."""
        self._nodes = compile_nodes(writer, reader)
        self._root = self._nodes[0]
        if self._root.kind != "record":
            raise Unsupported("a value that is no record")
        self._plan = _avro.Plan(list(self._nodes), MAX_DEPTH, MAX_MEMORY_BYTES)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that each row has."""
        wired = (name for name, skipped in zip(self._root.names, self._root.skipped, strict=True) if not skipped)
        return (*wired, *(name for name, _ in self._root.defaults))

    def copy_plan(self, columns: Mapping[str, str]) -> _avro.CopyPlan:
        """Writes rows of these columns, in their order, each as the type that is named. Raises Unsupported."""
        if set(columns) != set(self.fields):
            raise Unsupported("other fields than columns")
        if not 0 < len(columns) <= MAX_COLUMNS:
            raise Unsupported(f"no columns, or more than {MAX_COLUMNS}")
        numbers = {name: number for number, name in enumerate(columns)}
        root = self._root
        targets = []
        for name, skipped, child in zip(root.names, root.skipped, root.children, strict=True):
            if not skipped:
                self._check(self._nodes[child], columns[name])
            targets.append((-1, "") if skipped else (numbers[name], columns[name]))
        constants = [(numbers[name], _constant(default, columns[name])) for name, default in root.defaults]
        return _avro.CopyPlan(self._plan, len(columns), tuple(targets), tuple(constants))

    def _check(self, node: Node, cell: str) -> None:
        """Of a union one branch has to fit: a value of another one is then left to rows."""
        members = [self._nodes[child] for child in node.children] if node.kind == "union" else [node]
        kinds = [member for member in members if member.kind != "null"]
        if kinds and not any(_fits(member, cell) for member in kinds):
            raise Unsupported(f"{node.kind} is not written as {cell}")


def _fits(node: Node, cell: str) -> bool:
    if node.kind.endswith("-decimal") and not 0 <= node.scale <= node.precision <= _MOST_DIGITS:
        return False
    return cell in _CELLS.get(node.kind, ())


def _constant(default: Any, cell: str) -> bytes:
    """The cell of a field that the writer does not have. Its default is JSON, in rows too."""
    if default is None:
        return _NULL
    made: bytes | None = None
    if cell == "text" and isinstance(default, str):
        made = _encoded(default)
    elif cell == "bool" and isinstance(default, bool):
        made = bytes([default])
    elif cell == "int8" and type(default) is int and -(2**63) <= default < 2**63:
        made = struct.pack(">q", default)
    elif cell == "float8" and isinstance(default, float):
        made = struct.pack(">d", default)
    if made is None:
        raise Unsupported(f"a default that is not written as {cell}")
    return struct.pack(">i", len(made)) + made


def _encoded(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None
