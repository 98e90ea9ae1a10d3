"""JSON Schema of the project's YAML files: an editor that knows it completes keys, explains them and marks errors."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from mainstem.project.layers import REQUIRED_WITH_DEFAULT
from mainstem.project.model import Integration, ProjectFile

Kind = Literal["project", "integration"]
_MODELS: dict[Kind, type[BaseModel]] = {"project": ProjectFile, "integration": Integration}
_REFERENCE = {"type": "string", "pattern": r"\$\{.+\}", "description": "A reference: ${VARIABLE:default}"}


def json_schema(kind: Kind) -> dict[str, Any]:
    """The schema (draft 2020-12) of mainstem.yaml or of a file of integrations/."""
    schema = _MODELS[kind].model_json_schema(by_alias=True)
    for model in (schema, *schema.get("$defs", {}).values()):
        properties = model.get("properties", {})
        for name, field in properties.items():
            properties[name] = _or_reference(field)
    if kind == "project":
        _relax(schema)
    title = "mainstem.yaml" if kind == "project" else "integrations/*.yaml"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _or_reference(field: dict[str, Any]) -> dict[str, Any]:
    """A reference is text, so it has to be allowed wherever something narrower is wanted."""
    narrow = field.get("type") in ("integer", "number", "boolean") or {"pattern", "enum", "const"} & field.keys()
    kinds = [option.get("type", "section") for option in field.get("anyOf", ())]
    if narrow:
        kept: dict[str, Any] = {name: field[name] for name in ("default", "description", "title") if name in field}
        inner = {name: value for name, value in field.items() if name not in kept}
        return {**kept, "anyOf": [inner, _REFERENCE]}
    if kinds and not {"string", "section"} & set(kinds):
        return {**field, "anyOf": [*field["anyOf"], _REFERENCE]}
    return field


def _relax(schema: dict[str, Any]) -> None:
    """What the model requires and the lowest layer gives need not be in the file."""
    for section, name in REQUIRED_WITH_DEFAULT:
        schema["required"] = [key for key in schema["required"] if key != section]
        model = schema["$defs"][schema["properties"][section]["$ref"].rpartition("/")[2]]
        model["required"] = [key for key in model["required"] if key != name]
