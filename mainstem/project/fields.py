"""Looks for the fields of an Avro record by dotted paths, as declared mappings name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mainstem.project.findings import did_you_mean


def field_problem(definition: Mapping[str, Any], path: str) -> str | None:
    """What is wrong with a dotted path into records of that schema; None when a field is there."""
    named = dict(_named(definition, ""))
    here: Any = definition
    for step in path.split("."):
        records = [kind for kind in _members(here, named) if isinstance(kind, Mapping) and "fields" in kind]
        if not records:
            kinds = [kind.get("type") for kind in _members(here, named) if isinstance(kind, Mapping)]
            return None if "map" in kinds else f"`{step}` would be inside of something that is not a record"
        fields = {field["name"]: field["type"] for record in records for field in record["fields"] if "name" in field}
        if step not in fields:
            return f"there is no field `{step}`{did_you_mean(step, fields)}"
        here = fields[step]
    return None


def _members(kind: Any, named: Mapping[str, Any]) -> Iterator[Any]:
    """The branches of a union, or the type itself, names replaced by what they stand for."""
    for member in kind if isinstance(kind, list) else [kind]:
        nested = member.get("type") if isinstance(member, Mapping) else None
        if isinstance(nested, dict | list):
            yield from _members(nested, named)
        else:
            yield named.get(member, member) if isinstance(member, str) else member


def _named(kind: Any, space: str) -> Iterator[tuple[str, Any]]:
    """Every record by its full name and, as references within its namespace have it, by its short one."""
    if isinstance(kind, list):
        for member in kind:
            yield from _named(member, space)
    if not isinstance(kind, Mapping):
        return
    if kind.get("type") == "record" and "name" in kind:
        inner_space = str(kind.get("namespace") or space)
        yield str(kind["name"]), kind
        yield f"{inner_space}.{kind['name']}", kind
        for field in kind.get("fields", ()):
            yield from _named(field.get("type") if isinstance(field, Mapping) else None, inner_space)
    for inside in ("type", "items", "values"):
        if isinstance(kind.get(inside), dict | list):
            yield from _named(kind[inside], space)
