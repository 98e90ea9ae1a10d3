"""Hides the personal fields of a record before it is shown: those that its schema tags as `pii`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstem.codec.avro_shape import Avro, Named, read_schema, resolve
from mainstem.sdk.secret import MASK

TAGS = "mainstem.tags"
PERSONAL = "pii"


def masked(definition: Mapping[str, Any], data: Any) -> Any:
    """The data with every tagged field's value as `***`, at any depth; a missing value stays missing."""
    schema, named = read_schema(definition)
    return _masked(schema, data, named)


def has_personal_fields(definition: Any) -> bool:
    """Whether anything in the schema is tagged."""
    if isinstance(definition, Mapping):
        tags = definition.get(TAGS, ())
        return PERSONAL in tags or any(has_personal_fields(part) for part in definition.values())
    return isinstance(definition, list) and any(has_personal_fields(part) for part in definition)


def _masked(schema: Avro, value: Any, named: Named) -> Any:
    if is_personal(schema):
        return None if value is None else MASK
    schema = resolve(schema, named)
    if isinstance(schema, list):
        for branch in schema:  # whichever branch it is: a tag in any of them hides the field
            value = _masked(branch, value, named)
        return value
    kind = schema["type"]
    if kind == "record" and isinstance(value, Mapping):
        return _record(schema, value, named)
    if kind == "array" and isinstance(value, list):
        return [_masked(schema["items"], item, named) for item in value]
    if kind == "map" and isinstance(value, Mapping):
        return {key: _masked(schema["values"], item, named) for key, item in value.items()}
    return value


def _record(schema: Avro, value: Mapping[str, Any], named: Named) -> dict[str, Any]:
    shown = dict(value)
    for field in schema["fields"]:
        name = field["name"]
        if name not in shown or shown[name] is None:
            continue
        shown[name] = MASK if is_personal(field) else _masked(field["type"], shown[name], named)
    return shown


def is_personal(part: Any) -> bool:
    """Whether this part of a schema itself is tagged."""
    return isinstance(part, Mapping) and PERSONAL in part.get(TAGS, ())
