"""Refuses schemas with which a few bytes could crash or fill a decoder.

fastavro's C reader recurses on the machine's stack, so a deep message against a recursive schema ends the interpreter;
and an array of items that take no bytes lets a 7-byte message claim billions of items.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstem.errors import UNSAFE_SCHEMA, Misconfigured

NAMED = {"record", "error", "enum", "fixed"}
ZERO_SIZE = {"null"}


def check_safe(definition: Any, topic: str) -> None:
    """Raises Misconfigured (MS-209) when the Avro schema is recursive or has an array of zero-size items."""
    _Walk(topic).visit(definition, "", (), "")


class _Walk:
    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._named: dict[str, Any] = {}

    def visit(self, schema: Any, path: str, inside: tuple[str, ...], namespace: str) -> None:
        if isinstance(schema, list):
            for branch in schema:
                self.visit(branch, path, inside, namespace)
        elif isinstance(schema, str):
            self._reference(schema, path, inside, namespace)
        elif isinstance(schema, Mapping):
            self._complex(schema, path, inside, namespace)

    def _reference(self, name: str, path: str, inside: tuple[str, ...], namespace: str) -> None:
        full = name if "." in name else f"{namespace}.{name}".lstrip(".")
        if full in inside or name in inside:
            raise Misconfigured(
                f"{self._topic}: the schema refers to itself at {path or 'its root'}", code=UNSAFE_SCHEMA
            )

    def _complex(self, schema: Mapping[str, Any], path: str, inside: tuple[str, ...], namespace: str) -> None:
        kind = schema.get("type")
        if kind in NAMED:
            space = str(schema.get("namespace", namespace))
            name = str(schema.get("name", ""))
            full = name if "." in name else f"{space}.{name}".lstrip(".")
            self._named[full] = schema
            for field in schema.get("fields", ()):
                self.visit(field.get("type"), f"{path}.{field.get('name')}".lstrip("."), (*inside, full), space)
        elif kind == "array":
            items = schema.get("items")
            if self._smallest(items, namespace) == 0:
                raise Misconfigured(f"{self._topic}: the items of {path} can take no bytes", code=UNSAFE_SCHEMA)
            self.visit(items, f"{path}[]", inside, namespace)
        elif kind == "map":
            self.visit(schema.get("values"), f"{path}{{}}", inside, namespace)
        elif isinstance(kind, (Mapping, list, str)) and kind != schema:
            self.visit(kind, path, inside, namespace)

    def _smallest(self, schema: Any, namespace: str) -> int:
        """The fewest bytes that a value of this schema can take; every union takes one for its index."""
        if isinstance(schema, list):
            return 1
        if isinstance(schema, str):
            found = self._named.get(schema) or self._named.get(f"{namespace}.{schema}")
            return self._smallest(found, namespace) if found else int(schema not in ZERO_SIZE)
        kind = schema.get("type")
        if kind in {"record", "error"}:
            return sum(self._smallest(field["type"], namespace) for field in schema.get("fields", ()))
        if kind == "fixed":
            return int(schema.get("size", 0))
        if isinstance(kind, (Mapping, list)):
            return self._smallest(kind, namespace)
        return int(kind not in ZERO_SIZE)
