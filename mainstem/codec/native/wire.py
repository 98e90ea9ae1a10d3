"""What the bytes of a part of a schema mean, as text: parts of equal text may take each other's bytes as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from mainstem.codec.native.resolution import Avro, Named, definition, kind_of


class Wires:
    """The texts of one schema. Names of types do not count, for they are not on the wire; names of fields, symbols and
    scales do. A record is a digest, for types that hold each other twice would make a text of any length; within itself
    it is its name and the digest of the whole schema.
    """

    def __init__(self, schema: Avro, named: Named) -> None:
        self._named = named
        self._records: dict[str, str] = {}
        self._root = _digest(json.dumps(schema, sort_keys=True, default=str))

    def of(self, schema: Avro) -> str:
        schema = definition(schema, self._named)
        if isinstance(schema, list):
            return f"({'|'.join(map(self.of, schema))})"
        kind = kind_of(schema)
        if kind == "record":
            return self._record(schema)
        if kind in ("array", "map"):
            return f"{kind}<{self.of(schema['items' if kind == 'array' else 'values'])}>"
        if kind == "enum":
            return f"enum<{','.join(map(str, schema['symbols']))}>"
        if kind.endswith("-decimal"):
            return f"{kind}<{schema.get('size', '')},{schema.get('precision')},{schema.get('scale', 0)}>"
        return f"fixed<{schema['size']}>" if kind == "fixed" else kind

    def _record(self, schema: Mapping[str, Any]) -> str:
        name = schema["name"]
        if name not in self._records:
            self._records[name] = f"^{name}@{self._root}"
            fields = (f"{field['name']}:{self.of(field['type'])}" for field in schema["fields"])
            self._records[name] = _digest(",".join(fields))
        return self._records[name]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
