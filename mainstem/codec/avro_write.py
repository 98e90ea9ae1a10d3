"""A writer compiled from one Avro schema: for the values that come by far most often, and only for those.

fastavro spends most of its time finding out, value by value, what a schema wants and what a Decimal consists of. Here
that is settled once, when the schema is compiled. Whatever a compiled writer does not know exactly (a default to fill
in, an int for a double, a wrong type) it refuses with one of NOT_PLAIN, and the caller leaves the value to fastavro:
what is written, or said about it, does not depend on which of the two did it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache, partial
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from mainstem.codec.avro_shape import Avro, Named, kind_of, read_schema, resolve

Write = Callable[[Any], bytes]

NOT_PLAIN = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, struct.error)

CACHED_DECIMALS = 4096
_INT = (-(2**31), 2**31 - 1)
_LONG = (-(2**63), 2**63 - 1)
_BYTES = [bytes([number]) for number in range(128)]
_END = b"\0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT = Context(prec=400, traps=[Inexact, InvalidOperation, Overflow])
_double = struct.Struct("<d").pack
_single = struct.Struct("<f").pack


class Unsupported(Exception):
    """The schema has a part that is left to fastavro as a whole."""


def compile_writer(definition: Mapping[str, Any]) -> Write | None:
    """The writer of a record schema; None where the schema has a part that only fastavro writes."""
    schema, named = read_schema(definition)
    try:
        return _Compiler(named).write(schema)
    except Unsupported:
        return None


class _Compiler:
    def __init__(self, named: Named) -> None:
        self._named = named
        self._inside: tuple[str, ...] = ()

    def write(self, schema: Avro) -> Write:
        schema = resolve(schema, self._named)
        if isinstance(schema, list):
            return self._union(schema)
        kind = kind_of(schema)
        if kind == "record":
            return self._record(schema)
        if kind == "array":
            return partial(_array, self.write(schema["items"]))
        if kind == "map":
            return partial(_map, self.write(schema["values"]))
        return _leaf(kind, schema)

    def _record(self, schema: Avro) -> Write:
        if schema["name"] in self._inside:
            raise Unsupported
        outside = self._inside
        self._inside = (*outside, schema["name"])
        fields = [(str(field["name"]), self.write(field["type"])) for field in schema["fields"]]
        self._inside = outside
        return partial(_record, fields)

    def _union(self, branches: list[Avro]) -> Write:
        """Null and one other. Among several others fastavro's own search for the first that fits has to decide."""
        if len(branches) != 2 or branches.count("null") != 1:
            raise Unsupported
        null = branches.index("null")
        write = self.write(branches[1 - null])
        return partial(_nullable, _BYTES[2 * null], _BYTES[2 * (1 - null)], write)


def _record(fields: list[tuple[str, Write]], value: Any) -> bytes:
    return b"".join([write(value[name]) for name, write in fields])


def _array(write: Write, value: Any) -> bytes:
    _must_be(list, value)
    if not value:
        return _END
    return long(len(value)) + b"".join([write(item) for item in value]) + _END


def _map(write: Write, value: Any) -> bytes:
    _must_be(dict, value)
    if not value:
        return _END
    return long(len(value)) + b"".join([string(key) + write(item) for key, item in value.items()]) + _END


def _nullable(null: bytes, other: bytes, write: Write, value: Any) -> bytes:
    return null if value is None else other + write(value)


def _leaf(kind: str, schema: Avro) -> Write:
    if kind == "enum":
        symbols = {symbol: long(index) for index, symbol in enumerate(schema["symbols"])}
        return partial(_symbol, symbols)
    if kind == "bytes-decimal":
        unscaled = partial(_decimal, int(schema.get("scale", 0)), int(schema["precision"]))
        # Amounts come again and again. Typed: 1 and True equal Decimal(1), and are not to be taken for it.
        return lru_cache(CACHED_DECIMALS, typed=True)(unscaled)
    return _LEAVES.get(kind) or partial(_by_fastavro, schema)


def _must_be(wanted: type, value: object) -> None:
    if type(value) is not wanted:
        raise TypeError


def long(value: Any) -> bytes:
    """Zigzag and variable length. Source: https://avro.apache.org/docs/1.12.0/specification/#primitive-types-1"""
    if type(value) is not int or not _LONG[0] <= value <= _LONG[1]:
        raise TypeError
    left = (value << 1) ^ (value >> 63)
    if left < 128:
        return _BYTES[left]
    written = bytearray()
    while left > 127:
        written.append(left & 127 | 128)
        left >>= 7
    written.append(left)
    return bytes(written)


def _int(value: Any) -> bytes:
    if type(value) is int and -64 <= value < 64:
        return _BYTES[2 * value if value >= 0 else -2 * value - 1]
    if not _INT[0] <= value <= _INT[1]:
        raise ValueError
    return long(value)


def string(value: Any) -> bytes:
    """Length and UTF-8. Written out in full: it is called more often than anything else here."""
    if type(value) is not str:
        raise TypeError
    text = value.encode()
    count = len(text)
    return _BYTES[2 * count] + text if count < 64 else long(count) + text


def _sized(value: bytes) -> bytes:
    count = len(value)
    return (_BYTES[2 * count] if count < 64 else long(count)) + value


def _bytes(value: Any) -> bytes:
    _must_be(bytes, value)
    return _sized(value)


def _boolean(value: Any) -> bytes:
    _must_be(bool, value)
    return _BYTES[int(value)]


def _null(value: Any) -> bytes:
    _must_be(type(None), value)
    return b""


def _float(pack: Callable[[float], bytes], value: Any) -> bytes:
    _must_be(float, value)
    return pack(value)


def _symbol(symbols: Mapping[str, bytes], value: Any) -> bytes:
    _must_be(str, value)
    return symbols[value]


def _decimal(scale: int, precision: int, value: Any) -> bytes:
    """The unscaled number in as few bytes as hold it. Raises where the schema's scale or precision would cut digits."""
    _must_be(Decimal, value)
    number = int(value.scaleb(scale, _EXACT).to_integral_exact(context=_EXACT))
    if abs(number) >= 10**precision:
        raise ValueError
    return _sized(number.to_bytes((abs(number).bit_length() + 8) // 8, "big", signed=True))


def _timestamp_micros(value: Any) -> bytes:
    _must_be(datetime, value)
    return long((value - _EPOCH) // _MICROSECOND)


def _by_fastavro(schema: Avro, value: Any) -> bytes:
    buffer = BytesIO()
    schemaless_writer(buffer, schema, value)
    written: bytes = buffer.getvalue()
    return written


_LEAVES: Mapping[str, Write] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": long,
    "float": partial(_float, _single),
    "double": partial(_float, _double),
    "string": string,
    "bytes": _bytes,
    "long-timestamp-micros": _timestamp_micros,
}
