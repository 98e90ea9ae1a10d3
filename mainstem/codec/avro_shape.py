"""Reading an Avro schema: its named types, the kind of each part, and what a sender has to send for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastavro.schema import SchemaParseException, UnknownType, parse_schema

from mainstem.codec.native.resolution import LOGICAL
from mainstem.errors import Misconfigured

Avro = Any
"""A schema or a part of one: the name of a type, a dict, or a list (a union)."""

Named = Mapping[str, Avro]
"""The named types of a schema, by full name."""

_SHOWN_SYMBOLS = 8

_WORDS = {
    "record": "object",
    "map": "object",
    "bytes": "bytes as base64 text",
    "fixed": "bytes of the schema's length as base64 text",
    "int-date": "date (YYYY-MM-DD)",
    "int-time-millis": "time of day (HH:MM:SS)",
    "long-time-micros": "time of day (HH:MM:SS)",
    "long-timestamp-millis": "RFC 3339 time with zone",
    "long-timestamp-micros": "RFC 3339 time with zone",
    "long-local-timestamp-millis": "time without zone (YYYY-MM-DDTHH:MM:SS)",
    "long-local-timestamp-micros": "time without zone (YYYY-MM-DDTHH:MM:SS)",
    "string-uuid": "uuid",
}


def read_schema(definition: Mapping[str, Any]) -> tuple[Avro, Named]:
    """The schema with full names, and its named types. Raises Misconfigured when it is not a valid Avro record."""
    named: dict[str, Avro] = {}
    try:
        schema = parse_schema(dict(definition), named_schemas=named)
    except (SchemaParseException, UnknownType, KeyError, TypeError) as error:
        raise Misconfigured(f"the schema is not valid Avro: {error!r}") from None
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise Misconfigured("the schema of a topic must be a record")
    return schema, named


def resolve(schema: Avro, named: Named) -> Avro:
    """The part as a dict, or as a list for a union; a reference to a named type becomes that type."""
    while not isinstance(schema, list):
        if isinstance(schema, str):
            schema = named.get(schema, {"type": schema})
        if isinstance(schema["type"], str):
            return schema if schema["type"] not in named else resolve(schema["type"], named)
        schema = schema["type"]
    return schema


def kind_of(schema: Avro) -> str:
    """`int`, `record`, ... of a resolved part; with a logical type both: `bytes-decimal`."""
    logical = f"{schema['type']}-{schema.get('logicalType')}"
    return logical if logical in LOGICAL else str(schema["type"])


def is_nullable(schema: Avro, named: Named) -> bool:
    """Whether null is a value of the part."""
    schema = resolve(schema, named)
    return "null" in schema if isinstance(schema, list) else schema["type"] == "null"


def describe(schema: Avro, named: Named) -> str:
    """What a sender has to send for this part, in a few words."""
    schema = resolve(schema, named)
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"] + ["null"] * ("null" in schema)
        return " or ".join(dict.fromkeys(describe(branch, named) for branch in branches))
    kind = kind_of(schema)
    if kind == "enum":
        symbols = schema["symbols"]
        return "one of " + ", ".join(symbols[:_SHOWN_SYMBOLS]) + (", ..." if len(symbols) > _SHOWN_SYMBOLS else "")
    if kind.endswith("-decimal"):
        return f"decimal({schema['precision']},{schema.get('scale', 0)}), money as text and never as a float"
    return _WORDS.get(kind, kind)
