"""JSON-typed or text data (webhooks, HTTP, CSV) to the values that Avro encoders take, or a list of what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic_core import SchemaValidator, ValidationError

from mainstem.codec.avro_shape import Avro, describe, read_schema, resolve
from mainstem.codec.coerce_schema import EXPECTED, Compiler
from mainstem.errors import SCHEMA_REFUSES, FieldError, RequestRefused
from mainstem.event import Data

SHOWN_FIELDS = 20
"""A refusal names no more wrong fields than these."""

_MANY_ERRORS = 500
_NAME_CHARACTERS = 64
_KEY_STEP = "[key]"
_UNKNOWN = "no such field"


class Coercer:
    """Converts data by one Avro record schema, compiled once.

    Numbers, booleans, times, dates, uuids and decimals may come as text, bytes as base64 text; Python values pass
    through. A decimal is never taken from a float. A timestamp needs a zone, unless `naive_is_utc`, and is returned in
    UTC. A field that is left out gets its default, or null where null is allowed; an unknown field is refused.

    Raises Misconfigured when the schema is not a valid Avro record or contains itself.
    """

    def __init__(self, definition: Mapping[str, Any], *, naive_is_utc: bool = False) -> None:
        self._schema, self._named = read_schema(definition)
        self._naive_is_utc = naive_is_utc
        self._validator = self._compile(fail_fast=False)

    def coerce(self, data: Data) -> dict[str, Any]:
        """A new dict that encodes with the schema.

        Raises RequestRefused (422, MS-104) with the wrong fields, at most 20 of them, and never a value. Of a union of
        several records the one that was meant is returned as fastavro's pair of name and dict.
        """
        try:
            converted: dict[str, Any] = self._validator.validate_python(data)
        except ValidationError as error:
            fields = self._wrong_fields(data, error)
        else:
            return converted
        raise self._refusal(fields)  # outside of the handler: pydantic's error holds the values

    def _compile(self, *, fail_fast: bool) -> SchemaValidator:
        compiler = Compiler(self._named, naive_is_utc=self._naive_is_utc, fail_fast=fail_fast)
        return SchemaValidator(compiler.compile(self._schema))

    def _wrong_fields(self, data: Data, error: ValidationError) -> list[FieldError]:
        if error.error_count() > _MANY_ERRORS:
            # Listing half a million errors takes a second: one of each array will do.
            try:
                self._compile(fail_fast=True).validate_python(data)
            except ValidationError as first_of_each:
                error = first_of_each
        listed = error.errors(include_url=False, include_context=False, include_input=False)
        return [self._field_error(item["type"], item["loc"], item["msg"]) for item in listed[:SHOWN_FIELDS]]

    def _field_error(self, kind: str, location: Sequence[int | str], message: str) -> FieldError:
        place = self._place(location)
        if kind == EXPECTED:
            return FieldError(place.path, message)
        if kind == "extra_forbidden":
            return FieldError(place.path, _no_such_field(str(location[-1]), place.siblings))
        if kind == "invalid_key":
            return FieldError(place.path, "field names that are text")
        expected = describe(place.schema, self._named)
        return FieldError(place.path, f"{expected} (it is missing)" if kind == "missing" else expected)

    def _place(self, location: Sequence[int | str]) -> _Place:
        schema, path, siblings = self._schema, "", ()
        for step in location:
            schema = self._inner(schema)
            if isinstance(schema, list) or step == _KEY_STEP:
                break
            if schema["type"] == "record":
                types = {field["name"]: field["type"] for field in schema["fields"]}
                path, siblings, schema = f"{path}.{_shown(step)}", tuple(types), types.get(str(step), schema)
            elif schema["type"] == "array":
                path, schema = f"{path}[{step}]", schema["items"]
            elif schema["type"] == "map":
                path, schema = f"{path}[*]", schema["values"]  # a map's keys are data, and may be personal
        return _Place(path.lstrip("."), schema, siblings)

    def _inner(self, schema: Avro) -> Avro:
        schema = resolve(schema, self._named)
        if not isinstance(schema, list):
            return schema
        others = [branch for branch in schema if branch != "null"]
        return resolve(others[0], self._named) if len(others) == 1 else schema

    def _refusal(self, fields: Sequence[FieldError]) -> RequestRefused:
        first = fields[0]
        says = first.expected if first.expected.startswith(_UNKNOWN) else f"expected {first.expected}"
        more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
        cause = f"{self._schema['name']}: {first.field or 'the data'}: {says}{more}"
        return RequestRefused(cause, status=422, code=SCHEMA_REFUSES, fields=fields)


class _Place(NamedTuple):
    """Where an error is: its path, the part of the schema there, and the fields of the record around it."""

    path: str
    schema: Avro
    siblings: Sequence[str]


def _no_such_field(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name[:_NAME_CHARACTERS], known, n=1)
    return f"{_UNKNOWN}; did you mean {close[0]!r}?" if close else _UNKNOWN


def _shown(step: int | str) -> str:
    """A field's name as the sender wrote it, made safe to print."""
    text = str(step)[:_NAME_CHARACTERS]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
