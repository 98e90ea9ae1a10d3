"""A value that a person types, as the Python value that a field of some Avro type holds."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from pydantic_core import SchemaValidator, ValidationError

from mainstem.codec.avro_shape import Avro, Named, describe, is_nullable, kind_of, resolve
from mainstem.codec.coerce_leaf import leaf as forms_of
from mainstem.project.findings import did_you_mean

_COMPOSITE: Final = frozenset({"record", "array", "map"})
NULL: Final = "null"


class Leaf:
    """What can be compared with a field that holds a single value, of one type or null."""

    def __init__(self, schema: Avro, named: Named) -> None:
        """Raises ValueError for a field of several types, or one that consists of others."""
        self._expected = describe(schema, named)
        self._is_nullable = is_nullable(schema, named)
        self._schema = _single(resolve(schema, named), named)
        self._kind = kind_of(self._schema)
        if self._kind in _COMPOSITE:
            raise ValueError(f"the field is a {self._kind}, and only a single value can be compared")

    def parse(self, text: str | None) -> Any:
        """The value that a text means for this field, or None for null. Raises ValueError."""
        if text is None:
            if not self._is_nullable:
                raise ValueError('it is never null (the text is written as "null")')
            return None
        try:
            # Kept from the handler's error: pydantic quotes the value, which a person may have copied from a record.
            value = SchemaValidator(forms_of(self._schema, exact=False, naive_is_utc=False)).validate_python(text)
        except ValidationError:
            near = did_you_mean(text, self._schema["symbols"]) if self._kind == "enum" else ""
            raise ValueError(f"it takes {self._expected}{near}") from None
        return _SINGLE.unpack(_SINGLE.pack(value))[0] if self._kind == "float" else value

    @property
    def rank(self) -> Callable[[Any], Any]:
        """What orders its values. Raises ValueError where nothing does."""
        if self._kind == "enum":
            symbols: list[str] = self._schema["symbols"]
            return symbols.index  # the specification's order of an enum's values
        if self._kind == "boolean":
            raise ValueError("true and false have no order")
        return _itself


_SINGLE: Final = struct.Struct("f")
"""A field of 4 bytes holds the nearest number that fits into them, and that is what is compared."""


def read_scalar(said: str) -> str | None:
    """A JSON text without its quotes, None for null, and everything else as it is written."""
    if said == NULL:
        return None
    if said.startswith('"'):
        with suppress(ValueError):
            return str(json.loads(said))
    return said


def read_list(said: str) -> list[str | None]:
    """A JSON list or bare texts with commas between them, in brackets or not."""
    read = None
    with suppress(ValueError):
        # Numbers stay as they are written: 1.10 is a decimal of two digits.
        read = json.loads(said, parse_float=str, parse_int=str)
    if isinstance(read, list):
        return [_as_text(item) for item in read]
    return [read_scalar(part.strip()) for part in said.removeprefix("[").removesuffix("]").split(",")]


def _as_text(item: Any) -> str | None:
    if isinstance(item, bool):
        return str(item).lower()
    if item is None or isinstance(item, str):
        return item
    raise ValueError("a list holds single values")


def _single(schema: Avro, named: Named) -> Avro:
    if not isinstance(schema, list):
        return schema
    branches = [branch for branch in schema if branch != NULL]
    if len(branches) != 1:
        raise ValueError("the field can have several types")
    return resolve(branches[0], named)


def _itself(value: Any) -> Any:
    return value
