"""A field's default as the Avro bytes that say the same: in a schema it stands in JSON form.

Source: https://avro.apache.org/docs/1.12.0/specification/#schema-record (field default values)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from mainstem.codec.native.resolution import Avro, Named, definition

BAD_DEFAULT: Final = (TypeError, ValueError, KeyError, OverflowError, struct.error)
"""What `default_bytes` raises where the default does not fit the schema."""


def default_bytes(schema: Avro, default: Any, named: Named) -> bytes:
    """The bytes of a value of the part. Of a union the first branch that the default fits counts.

    Raises one of BAD_DEFAULT where it fits none.
    """
    schema = definition(schema, named)
    if isinstance(schema, list):
        return _branch(schema, default, named)
    kind = str(schema["type"])
    if kind in _SCALARS:
        return _SCALARS[kind](default)
    if kind in ("enum", "fixed"):
        return _long(schema["symbols"].index(default)) if kind == "enum" else _exactly(schema["size"], _raw(default))
    if kind == "array":
        return _block([default_bytes(schema["items"], item, named) for item in _of(list, default)])
    if kind == "map":
        entries = _of(dict, default).items()
        return _block([_text(key) + default_bytes(schema["values"], value, named) for key, value in entries])
    return b"".join(_field(field, _of(dict, default), named) for field in schema["fields"])


def _branch(branches: list[Avro], default: Any, named: Named) -> bytes:
    for number, branch in enumerate(branches):
        try:
            return _long(number) + default_bytes(branch, default, named)
        except BAD_DEFAULT:
            continue
    raise ValueError("a default of none of the union's branches")


def _field(field: Mapping[str, Any], record: Mapping[str, Any], named: Named) -> bytes:
    name = field["name"]
    return default_bytes(field["type"], record[name] if name in record else field["default"], named)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"a default that is no {kind.__name__}")
    return value


def _null(value: Any) -> bytes:
    if value is not None:
        raise TypeError("a default that is not null")
    return b""


def _long(value: Any, bits: int = 64) -> bytes:
    number = int(_of(int, value))
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise OverflowError("a default that is out of range")
    number = number << 1 ^ number >> 63
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*written, number))


def _int(value: Any) -> bytes:
    return _long(value, 32)


def _packed(form: str, value: Any) -> bytes:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("a default that is no number")
    return struct.pack(form, value)


def _raw(value: Any) -> bytes:
    """Bytes stand as text, a character for each."""
    return bytes(_of(str, value).encode("latin-1"))


def _sized(value: bytes) -> bytes:
    return _long(len(value)) + value


def _text(value: Any) -> bytes:
    return _sized(_of(str, value).encode())


def _exactly(size: int, value: bytes) -> bytes:
    if len(value) != size:
        raise ValueError("a default of another length")
    return value


def _block(items: list[bytes]) -> bytes:
    return (_long(len(items)) + b"".join(items) if items else b"") + b"\x00"


_SCALARS: Final[dict[str, Callable[[Any], bytes]]] = {
    "null": _null,
    "boolean": lambda value: b"\x01" if _of(bool, value) else b"\x00",
    "int": _int,
    "long": _long,
    "float": lambda value: _packed("<f", value),
    "double": lambda value: _packed("<d", value),
    "bytes": lambda value: _sized(_raw(value)),
    "string": _text,
}
