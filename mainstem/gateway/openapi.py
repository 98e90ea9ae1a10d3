"""The OpenAPI 3.1 document, made from the routes that are served and the models that they take and give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from mainstem.gateway.route import Access, Answer, Route
from mainstem.observe.metrics import VERSION

REFERENCES = "#/components/schemas/{model}"
_NAMED = re.compile(r"\{([a-z_]+)\}")
_SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    Access.OPEN: [],
    Access.SIGNED: [],
    Access.KEY: [{"bearer": []}, {"apiKey": []}],
    Access.TOPIC: [{"bearer": []}, {"apiKey": []}],
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """What `/api/v1/openapi.json` answers."""
    described, components = _schemas(_types(routes))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, described)
    return {
        "openapi": "3.1.0",
        "info": {"title": "mainstem gateway", "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _types(routes: Iterable[Route]) -> list[Any]:
    """Every type that a body or an answer is described by, each once, in a steady order."""
    found: list[Any] = []
    for route in routes:
        for wanted in (route.body, *(answer.model for answer in route.answers.values())):
            if wanted not in (None, bytes, str) and wanted not in found:
                found.append(wanted)
    return found


def _schemas(types: Sequence[Any]) -> tuple[list[tuple[Any, dict[str, Any]]], dict[str, Any]]:
    mode: JsonSchemaMode = "validation"
    inputs = [(index, mode, TypeAdapter(wanted).core_schema) for index, wanted in enumerate(types)]
    by_input, components = GenerateJsonSchema(ref_template=REFERENCES).generate_definitions(inputs)
    described = [(wanted, by_input[index, mode]) for index, wanted in enumerate(types)]
    return described, {str(name): schema for name, schema in components.items()}


def _operation(route: Route, described: Sequence[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": _SECURITY[route.access],
        "parameters": [*_path_parameters(route), *_header_parameters(route)],
        "responses": {str(status): _response(answer, described) for status, answer in sorted(route.answers.items())},
    }
    if route.body is bytes:
        operation["requestBody"] = {"required": True, "content": {"*/*": {}}}
    elif route.body is not None:
        content = {"application/json": {"schema": _schema(route.body, described)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = _NAMED.findall(route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": says, "schema": {"type": "string"}}
        for name, says in route.headers.items()
    ]


def _response(answer: Answer, described: Sequence[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    schema = {"type": "string"} if answer.model is str else _schema(answer.model, described)
    return {"description": answer.says, "content": {answer.content_type: {"schema": schema}}}


def _schema(wanted: Any, described: Sequence[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    return next(schema for known, schema in described if known == wanted)
