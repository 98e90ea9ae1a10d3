"""Refuses schemas with which a few bytes could crash or fill a decoder.

fastavro's C reader recurses on the machine's stack, so a deep message against a recursive schema ends the interpreter,
and so does a long enough chain of types that hold each other. An array of items that take no bytes lets a 7-byte
message claim billions of items; records of nothing that hold each other twice do the same with no bytes at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from mainstem.errors import UNSAFE_SCHEMA, Misconfigured

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
MAX_DEPTH: Final = 64
"""Types within types. A decoder's stack holds some thousands; a schema that people read has ten."""
MAX_EMPTY: Final = 100
"""Values that take no bytes (nulls, empty records) in one value."""

Inside = tuple[str, ...]


class _Shape(NamedTuple):
    """What a value of a schema comes to: the fewest bytes, how many values without bytes, types within types."""

    smallest: int = 1
    empty: int = 0
    depth: int = 1


_NULL = _Shape(0, 1)


class _At(NamedTuple):
    """Where in the schema: the field's path, the full names that are being defined, the namespace."""

    path: str = ""
    inside: Inside = ()
    namespace: str = ""

    def step(self, way: str) -> _At:
        return self._replace(path=f"{self.path}{way}".lstrip("."))


def check_safe(definition: Any, topic: str) -> None:
    """Raises Misconfigured (MS-209) when the Avro schema is recursive, too deep, or has an array of zero-size items."""
    walk = _Walk(topic)
    try:
        walk.visit(definition, _At())
    except RecursionError:
        walk.refuse("is nested too deep", _At())


class _Walk:
    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._named: dict[str, _Shape] = {}

    def refuse(self, problem: str, at: _At) -> NoReturn:
        raise Misconfigured(f"{self._topic}: the schema {problem} at {at.path or 'its root'}", code=UNSAFE_SCHEMA)

    def visit(self, schema: Any, at: _At) -> _Shape:
        shape = self._shape(schema, at)
        if shape.depth > MAX_DEPTH:
            self.refuse("is nested too deep", at)
        if shape.empty > MAX_EMPTY:
            self.refuse("has too many values that take no bytes", at)
        return shape

    def _shape(self, schema: Any, at: _At) -> _Shape:
        if isinstance(schema, list):
            shapes = [self.visit(branch, at) for branch in schema]
            # Every union takes a byte for the branch's number.
            return _Shape(1, max((s.empty for s in shapes), default=0), 1 + _deepest(shapes))
        if isinstance(schema, str):
            return self._reference(schema, at)
        return self._complex(schema, at) if isinstance(schema, Mapping) else _Shape()

    def _reference(self, name: str, at: _At) -> _Shape:
        if name in PRIMITIVES:
            return _NULL if name == "null" else _Shape()
        full = name if "." in name or not at.namespace else f"{at.namespace}.{name}"
        if full in at.inside or name in at.inside:
            self.refuse("refers to itself", at)
        return self._named.get(full, _Shape())

    def _complex(self, schema: Mapping[str, Any], at: _At) -> _Shape:
        kind = schema.get("type")
        if kind in ("record", "error"):
            return self._record(schema, at)
        if kind in ("enum", "fixed"):
            size = schema.get("size", 0) if kind == "fixed" else 1
            shape = _NULL if size == 0 else _Shape()
            self._named[_full_name(schema, at.namespace)] = shape
            return shape
        if kind == "array":
            items = self.visit(schema.get("items"), at.step("[]"))
            if items.smallest == 0:
                self.refuse("has an array of items that can take no bytes", at)
            return _Shape(1, 0, 1 + items.depth)
        if kind == "map":
            return _Shape(1, 0, 1 + self.visit(schema.get("values"), at.step("{}")).depth)
        return self.visit(kind, at) if isinstance(kind, (Mapping, list, str)) else _Shape()

    def _record(self, schema: Mapping[str, Any], at: _At) -> _Shape:
        full = _full_name(schema, at.namespace)
        within = at._replace(inside=(*at.inside, full), namespace=full.rpartition(".")[0])
        fields = [self.visit(f.get("type"), within.step(f".{f.get('name')}")) for f in schema.get("fields", ())]
        smallest = sum(shape.smallest for shape in fields)
        empty = sum(shape.empty for shape in fields) + (smallest == 0)
        self._named[full] = shape = _Shape(smallest, empty, 1 + _deepest(fields))
        return shape


def _full_name(schema: Mapping[str, Any], namespace: str) -> str:
    """A name with dots is full already, and its namespace is what stands before the last.

    Source: https://avro.apache.org/docs/1.12.0/specification/#names
    """
    name = str(schema.get("name", ""))
    space = schema.get("namespace", namespace)
    return name if "." in name or not space else f"{space}.{name}"


def _deepest(shapes: Sequence[_Shape]) -> int:
    return max((shape.depth for shape in shapes), default=0)
