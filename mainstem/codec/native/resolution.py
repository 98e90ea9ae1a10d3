"""Which part of a reader's schema takes what a writer's part wrote, as fastavro decides it.

Source: https://avro.apache.org/docs/1.12.0/specification/#schema-resolution. Where the two differ, fastavro counts:
names match without their namespaces, and of a reader's union the first branch that fits is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Avro = Any
"""A schema or a part of one, as fastavro's parse_schema gives it: a name, a dict, or a list (a union)."""

Named = Mapping[str, Avro]
"""The named types of a schema, by full name."""

LOGICAL: Final = frozenset(
    {
        "bytes-decimal",
        "fixed-decimal",
        "int-date",
        "int-time-millis",
        "long-time-micros",
        "long-timestamp-millis",
        "long-timestamp-micros",
        "long-local-timestamp-millis",
        "long-local-timestamp-micros",
        "string-uuid",
    }
)
"""The logical types that fastavro converts; others count as their plain type, as the Avro specification asks."""

PROMOTIONS: Final = {
    ("int", "long"): "int",
    ("int", "float"): "int-to-double",
    ("int", "double"): "int-to-double",
    ("long", "float"): "long-to-double",
    ("long", "double"): "long-to-double",
    ("float", "double"): "float",
    ("string", "bytes"): "string-to-bytes",
    ("bytes", "string"): "bytes-to-string",
}
"""What executes a promotion. In Python a long is an int and a float is a double already."""

_NAMED_TYPES: Final = frozenset({"record", "error", "enum", "fixed"})


def definition(schema: Avro, named: Named) -> Avro:
    """The part as a dict, or as a list for a union; the name of a type becomes that type."""
    if isinstance(schema, str):
        return named.get(schema, {"type": schema})
    return schema


def kind_of(schema: Mapping[str, Any]) -> str:
    """`int`, `record`, ...; with a logical type that is converted both, as in `int-date`."""
    logical = f"{schema['type']}-{schema.get('logicalType')}"
    kind = logical if logical in LOGICAL else str(schema["type"])
    return "record" if kind == "error" else kind


class Pair:
    """Two schemas' named types."""

    def __init__(self, writer: Named, reader: Named) -> None:
        self.writer = writer
        self.reader = reader

    def pick(self, written: Avro, wanted: Avro) -> Avro | None:
        """The part of the reader's schema that takes the writer's part, which is no union; None where none does."""
        branches = wanted if isinstance(wanted, list) else [wanted]
        return next((branch for branch in branches if self.fits(written, branch)), None)

    def fits(self, written: Avro, wanted: Avro) -> bool:
        """Whether the reader's part is for the writer's part, as far as it shows without looking into records."""
        if isinstance(written, list) or isinstance(wanted, list):
            return True
        writer, reader = definition(written, self.writer), definition(wanted, self.reader)
        types = (writer["type"], reader["type"])
        if types == ("array", "array"):
            return self.fits(writer["items"], reader["items"])
        if types == ("map", "map"):
            return self.fits(writer["values"], reader["values"])
        if _NAMED_TYPES.issuperset(types):
            return _named_alike(writer, reader)
        return types[0] == types[1] or types in PROMOTIONS


def _named_alike(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    if kind_of({"type": writer["type"]}) != kind_of({"type": reader["type"]}):
        return False
    if writer["type"] == "fixed" and writer["size"] != reader["size"]:
        return False
    short = writer["name"].rpartition(".")[2]
    aliases = reader.get("aliases", ())
    return short == reader["name"].rpartition(".")[2] or writer["name"] in aliases or short in aliases
