"""An Avro schema compiled to a pydantic-core schema that makes plain dicts of the values that an Avro encoder takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pydantic_core import CoreSchema
from pydantic_core import core_schema as cs

from mainstem.codec.avro_default import default_value
from mainstem.codec.avro_shape import Avro, Named, describe, is_nullable, kind_of, resolve
from mainstem.codec.coerce_leaf import first_of, leaf, string
from mainstem.errors import UNSAFE_SCHEMA, Misconfigured

EXPECTED = "expected"
"""The type of the one error that a wrong leaf gives; its message says what was expected there, and never the value."""

_CONTAINERS = {"record", "array", "map"}
_TRIED_FIRST = ("boolean", "int", "long", "float", "double", "enum", "string")
"""Of a union of several types, those that JSON tells apart by itself, so that text stays text."""


class Compiler:
    """Compiles the parts of one schema. `fail_fast` stops at the first wrong item of each array."""

    def __init__(self, named: Named, *, naive_is_utc: bool, fail_fast: bool = False) -> None:
        self._named = named
        self._naive_is_utc = naive_is_utc
        self._fail_fast = fail_fast
        self._inside: tuple[str, ...] = ()

    def compile(self, schema: Avro, *, exact: bool = False) -> CoreSchema:
        """The validator of one part. Raises Misconfigured (MS-209) for a record that contains itself."""
        schema = resolve(schema, self._named)
        if isinstance(schema, list):
            return self._union(schema)
        if schema["type"] == "record":
            return self._record(schema)
        if schema["type"] == "array":
            return cs.list_schema(self.compile(schema["items"]), fail_fast=self._fail_fast)
        if schema["type"] == "map":
            return cs.dict_schema(self._expecting("string", string()), self.compile(schema["values"]))
        return self._expecting(schema, leaf(schema, exact=exact, naive_is_utc=self._naive_is_utc))

    def _expecting(self, schema: Avro, form: CoreSchema) -> CoreSchema:
        expected = describe(schema, self._named)
        return cs.custom_error_schema(form, custom_error_type=EXPECTED, custom_error_message=expected)

    def _record(self, schema: Avro) -> CoreSchema:
        name = schema["name"]
        if name in self._inside:
            raise Misconfigured(f"the record {name} contains itself", code=UNSAFE_SCHEMA)
        outside = self._inside
        self._inside = (*outside, name)
        fields = {field["name"]: self._field(field) for field in schema["fields"]}
        self._inside = outside
        return cs.typed_dict_schema(fields, extra_behavior="forbid")

    def _field(self, field: Mapping[str, Any]) -> cs.TypedDictField:
        form = self.compile(field["type"])
        if "default" in field:
            default = default_value(field["type"], field["default"], self._named)
        elif is_nullable(field["type"], self._named):
            default = None  # JSON leaves out what is null, and Avro's own encoders take it so
        else:
            return cs.typed_dict_field(form, required=True)
        return cs.typed_dict_field(cs.with_default_schema(form, default=default), required=False)

    def _union(self, branches: Sequence[Avro]) -> CoreSchema:
        others = [resolve(branch, self._named) for branch in branches if branch != "null"]
        if not others:
            return self._expecting("null", cs.none_schema())
        form = self.compile(others[0]) if len(others) == 1 else self._choice(others)
        if len(others) < len(branches):
            form = cs.nullable_schema(form)
        # An error inside a lone record names its own field: the union must not speak over it.
        return form if len(others) == 1 and others[0]["type"] in _CONTAINERS else self._expecting(branches, form)

    def _choice(self, branches: Sequence[Avro]) -> CoreSchema:
        several_records = sum(branch["type"] == "record" for branch in branches) > 1
        return first_of(*(self._branch(branch, several_records) for branch in sorted(branches, key=_order)))

    def _branch(self, branch: Avro, several_records: bool) -> CoreSchema:
        form = self.compile(branch, exact=True)
        if not several_records or branch["type"] != "record":
            return form
        return cs.no_info_after_validator_function(partial(_tag, branch["name"]), form)


def _order(branch: Avro) -> int:
    kind = kind_of(branch)
    return _TRIED_FIRST.index(kind) if kind in _TRIED_FIRST else len(_TRIED_FIRST) + (kind == "map")


def _tag(name: str, record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """fastavro's way to say which record of a union is meant."""
    return name, record
