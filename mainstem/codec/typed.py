"""A schema's values as instances of the caller's own types: dataclasses, or dicts that a TypedDict describes."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import Any, Generic, TypeVar, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.validation import validate

from mainstem.codec.engine import NOT_TAKEN, plan_of
from mainstem.codec.guard import check_safe
from mainstem.codec.typed_shape import shapes_of
from mainstem.errors import BAD_PAYLOAD, SCHEMA_REFUSES, Rejected

T = TypeVar("T")


class Typed(Generic[T]):
    """Reads and writes bare Avro: `Typed(Order, schema)`. Records within the value become what the type's annotations
    say of them: a dataclass, or a dict where they say anything else.

    `writer` is the schema of the bytes that are read, if that is another; such a codec only reads. Raises Misconfigured
    where the type and the schema do not have the same fields; without the native codec also for a schema that fastavro
    is not safe with, such as a record that holds itself.
    """

    def __init__(self, type_: type[T], schema: Any, writer: Any = None) -> None:
        self._shapes = shapes_of(type_, schema)
        self._schema = parse_schema(schema)
        self._writer = None if writer is None else parse_schema(writer)
        self._plan = plan_of(*((schema,) if writer is None else (writer, schema)), classes=self._shapes.classes)
        self._name = type_.__name__
        if self._plan is None:
            for unsafe in (schema, writer):
                if unsafe is not None:
                    check_safe(unsafe, self._name)

    def decode(self, value: bytes, start: int = 0) -> T:
        """The whole of the bytes from `start`. Raises Rejected (MS-103), also where a class refuses its fields."""
        if self._plan is not None:
            try:
                return cast(T, self._plan.decode(value, start))
            except NOT_TAKEN as error:
                raise self._undecodable(str(error)) from None
        buffer = BytesIO(value)
        buffer.seek(start)
        writer, reader = (self._schema, None) if self._writer is None else (self._writer, self._schema)
        try:
            read = schemaless_reader(buffer, writer, reader, return_record_name=True, return_record_name_override=True)
            made = self._shapes.made_of(read, self._schema)
        except Exception as error:  # noqa: BLE001 - hostile bytes make fastavro raise anything, and so may a class
            raise self._undecodable(type(error).__name__) from None
        if buffer.tell() != len(value):
            raise self._undecodable(f"{len(value) - buffer.tell()} bytes are left")
        return cast(T, made)

    def encode(self, value: T, before: bytes = b"") -> bytes:
        """The value's bytes, behind those `before`. Raises Rejected (MS-104)."""
        if self._plan is not None and self._writer is None:
            with suppress(*NOT_TAKEN):
                return self._plan.encode(value, before)
        if self._writer is not None:
            raise TypeError(f"a codec that reads {self._name} of another schema does not write")
        buffer = BytesIO()
        buffer.write(before)
        try:
            data = self._shapes.data_of(value, self._schema)
            problem = "" if validate(data, self._schema, raise_errors=False) else "not of the schema's types"
            schemaless_writer(buffer, self._schema, data)
        except Exception as error:  # noqa: BLE001 - fastavro raises whatever the wrong value's own type raises
            problem = type(error).__name__
        if problem:
            raise Rejected(f"{self._name}: the value does not encode ({problem})", code=SCHEMA_REFUSES) from None
        return buffer.getvalue()

    def _undecodable(self, why: str) -> Rejected:
        return Rejected(f"{self._name}: the bytes do not decode: {why}", code=BAD_PAYLOAD)
