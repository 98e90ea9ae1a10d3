"""Avro in the Confluent wire format: 0x00, the schema's id in 4 bytes, then the Avro bytes.

Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.validation import validate

from mainstem.codec.avro_write import NOT_PLAIN, compile_writer
from mainstem.codec.coerce import Coercer
from mainstem.codec.engine import NOT_TAKEN, decode_batch, encode_batch, plan_of, records_of
from mainstem.codec.guard import check_safe
from mainstem.codec.registered import registered
from mainstem.codec.registry import Definition, Registry, value_subject
from mainstem.errors import (
    BAD_PAYLOAD,
    NOT_AVRO,
    SCHEMA_REFUSES,
    TOO_LARGE,
    Misconfigured,
    Rejected,
)
from mainstem.event import Data

MAGIC = 0
FRAME_BYTES = 5
MAX_BYTES = 8 * 1024 * 1024
"""A larger value is not decoded: Kafka's own default limit is 1 MiB."""

if TYPE_CHECKING:
    from mainstem.codec.native import _avro
    from mainstem.codec.native.copying import Records

Decode = Callable[[bytes], Data]


class Codec:
    """Encoders and decoders by topic, for the project's schemas and for whatever else the registry holds."""

    def __init__(self, registry: Registry, schemas: Mapping[str, Definition]) -> None:
        self._registry = registry
        self._schemas = schemas

    def encoder(self, topic: str) -> Encoder:
        """Asks the registry once. Raises Misconfigured when the topic's schema is missing, unsafe or unregistered."""
        definition = self._definition(topic)
        check_safe(definition, topic)
        return Encoder(topic, definition, self._registry.id_of(value_subject(topic), definition))

    def decoder(self, topic: str, *, subject_of: str | None = None) -> Decoder:
        """Decodes the topic's values. `subject_of` names the topic whose schemas count (a dead letter's origin)."""
        origin = subject_of or topic
        reader = self._schemas.get(origin)
        return Decoder(origin, self._registry, reader)

    def coercer(self, topic: str) -> Coercer:
        """Converts JSON-typed data to the topic's types, and names the fields that do not fit."""
        return Coercer(self._definition(topic))

    def topics(self) -> list[str]:
        """The topics that the project has a schema for."""
        return sorted(self._schemas)

    def _definition(self, topic: str) -> Definition:
        if topic not in self._schemas:
            raise Misconfigured(f"there is no schema for the topic {topic} in schemas/")
        return self._schemas[topic]


class Encoder:
    """Writes one topic's values with one registered schema."""

    def __init__(self, topic: str, definition: Definition, schema_id: int) -> None:
        self.topic = topic
        self.schema_id = schema_id
        self._definition = definition
        self._schema = parse_schema(dict(definition))
        self._frame = frame_of(schema_id)
        self._plan = plan_of(definition)
        self._write = compile_writer(definition)

    def encode(self, data: Data | None) -> bytes | None:
        """The value's bytes; None (a tombstone) stays None. Raises Rejected (MS-104) naming the fields."""
        if data is None:
            return None
        if self._plan is not None:
            with suppress(*NOT_TAKEN):
                return self._plan.encode(data, self._frame)
        if self._write is not None:
            with suppress(*NOT_PLAIN):
                return self._frame + self._write(data)
        buffer = BytesIO()
        buffer.write(self._frame)
        try:
            # The writer alone would make 1 of 1.5, and write a number that no 32-bit reader can read.
            problem = "" if validate(data, self._schema, raise_errors=False) else "not of the schema's types"
            schemaless_writer(buffer, self._schema, data)
        except Exception as error:  # noqa: BLE001 - fastavro raises whatever the wrong value's own type raises
            problem = type(error).__name__
        if problem:
            raise self._refusal(data, problem)
        return buffer.getvalue()

    def encode_all(self, values: list[Data | None]) -> list[bytes | Rejected | None]:
        """Each value's bytes, or the Rejected that `encode` would raise; in one call of the native codec."""
        return encode_batch(values, self._plan, self._frame, self._bytes_or_refusal)

    def _bytes_or_refusal(self, data: Data) -> bytes | Rejected | None:
        try:
            return self.encode(data)
        except Rejected as refused:
            return refused

    def _refusal(self, data: Data, problem: str) -> Rejected:
        """Says which fields are wrong, without their values: fastavro's own message quotes them."""
        try:
            Coercer(self._definition).coerce(data)
        except Rejected as refused:
            return refused
        return Rejected(f"{self.topic}: the value does not encode ({problem})", code=SCHEMA_REFUSES)


class Decoder:
    """Reads one topic's values, whichever registered version of its schema wrote them, as the project's own version."""

    def __init__(self, topic: str, registry: Registry, reader: Definition | None) -> None:
        self.topic = topic
        self._registry = registry
        self._reader = parse_schema(dict(reader)) if reader else None
        self._reader_definition = reader
        self._by_id: dict[int, Decode] = {}
        self._plans: dict[int, _avro.Plan] = {}
        self._framed: dict[bytes, _avro.Plan] = {}
        """The same by what stands before a value: most are decoded with one lookup and one call."""
        self._records: dict[int, Records | None] = {}

    def decode(self, value: bytes, schema_id: int | None = None) -> Data:
        """The value as a mapping. `schema_id` is given where a header names the schema and the value is bare Avro.

        Raises Rejected: not framed (MS-101), not the topic's schema (MS-102), bytes that do not decode (MS-103).
        Raises Unreachable when a schema is not known yet and the registry does not answer.
        """
        if schema_id is None:
            plan = self._framed.get(value[:FRAME_BYTES])
            if plan is not None and len(value) <= MAX_BYTES:
                try:
                    return cast(Data, plan.decode(value, FRAME_BYTES))
                except NOT_TAKEN as error:
                    raise undecodable(self.topic, schema_id_of(self.topic, value), error) from None
            return self._decoder(schema_id_of(self.topic, value))(value)
        if len(value) > MAX_BYTES:
            raise Rejected(f"{self.topic}: a value of {len(value)} bytes", code=TOO_LARGE)
        return self._decoder(schema_id)(bytes(FRAME_BYTES) + value)

    def decode_all(self, values: list[bytes | None]) -> list[Data | Rejected | None]:
        """Each value's data, None for a tombstone, or the Rejected that `decode` would raise; raises Unreachable.

        In one call of the native codec for the schemas that it has seen.
        """
        return decode_batch(values, self._plans, self._data_or_refusal, MAX_BYTES)

    def _data_or_refusal(self, value: bytes) -> Data | Rejected:
        try:
            return self.decode(value)
        except Rejected as refused:
            return refused

    def _decoder(self, schema_id: int) -> Decode:
        if schema_id not in self._by_id:
            self._by_id[schema_id] = self._make(schema_id)
        return self._by_id[schema_id]

    def records(self, schema_id: int) -> Records | None:
        """What `decode` makes of that schema's values, as rows; None where only it can tell. Raises what it raises."""
        if schema_id not in self._records:
            self._records[schema_id] = records_of(*self._schemas(schema_id))
        return self._records[schema_id]

    def _schemas(self, schema_id: int) -> tuple[Any, Any]:
        """What wrote the values, and what they are read as, if that is another."""
        definition, writer = registered(self._registry, self.topic, schema_id)
        return writer, None if definition == self._reader_definition else self._reader

    def _make(self, schema_id: int) -> Decode:
        writer, reader = self._schemas(schema_id)
        plan = plan_of(writer, reader)
        if plan is not None:
            self._plans[schema_id] = plan
            self._framed[frame_of(schema_id)] = plan
            return partial(_read_native, plan, self.topic, schema_id)
        return partial(_read, writer, reader, self.topic, schema_id)


def frame_of(schema_id: int) -> bytes:
    """What stands before a value of that schema."""
    return bytes([MAGIC]) + schema_id.to_bytes(FRAME_BYTES - 1, "big")


def schema_id_of(topic: str, value: bytes) -> int:
    """The id that stands before the bytes. Raises Rejected: too large, or not framed (MS-101)."""
    if len(value) > MAX_BYTES:
        raise Rejected(f"{topic}: a value of {len(value)} bytes", code=TOO_LARGE)
    if len(value) <= FRAME_BYTES - 1 or value[0] != MAGIC:
        raise Rejected(f"{topic}: the value does not start with 0x00 and a schema id", code=NOT_AVRO)
    return int.from_bytes(value[1:FRAME_BYTES], "big")


def undecodable(topic: str, schema_id: int, error: Exception) -> Rejected:
    """What is said of bytes that the native codec does not take: its error quotes no value."""
    return Rejected(f"{topic}: the bytes do not decode with schema {schema_id}: {error}", code=BAD_PAYLOAD)


def _read_native(plan: _avro.Plan, topic: str, schema_id: int, value: bytes) -> Data:
    try:
        return cast(Data, plan.decode(value, FRAME_BYTES))
    except NOT_TAKEN as error:
        raise undecodable(topic, schema_id, error) from None


def _read(writer: Any, reader: Any, topic: str, schema_id: int, value: bytes) -> Data:
    buffer = BytesIO(value)
    buffer.seek(FRAME_BYTES)
    try:
        record = schemaless_reader(buffer, writer, reader)
    except Exception as error:  # noqa: BLE001 - hostile bytes make fastavro raise anything from EOFError to OverflowError
        raise Rejected(
            f"{topic}: the bytes do not decode with schema {schema_id} ({type(error).__name__})", code=BAD_PAYLOAD
        ) from None
    if buffer.tell() != len(value):
        raise Rejected(
            f"{topic}: {len(value) - buffer.tell()} bytes are left after decoding with schema {schema_id}",
            code=BAD_PAYLOAD,
        )
    return cast(Data, record)
