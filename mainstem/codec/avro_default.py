"""The default of a field: in a schema it stands in Avro's JSON form, an encoder takes the Python value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from mainstem.codec.avro_shape import Avro, Named, kind_of, resolve

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - Avro's local timestamps have no zone


def default_value(schema: Avro, default: Any, named: Named) -> Any:
    """The Python value of a default. Of a union it belongs to the first branch, or to the first that is not null.

    Source: https://avro.apache.org/docs/1.12.0/specification/#schema-record (field default values)
    """
    schema = resolve(schema, named)
    if default is None:
        return None
    if isinstance(schema, list):
        return default_value(next(branch for branch in schema if branch != "null"), default, named)
    kind = kind_of(schema)
    if kind == "record":
        fields = schema["fields"]
        return {f["name"]: default_value(f["type"], default.get(f["name"], f.get("default")), named) for f in fields}
    if kind == "array":
        return [default_value(schema["items"], item, named) for item in default]
    if kind == "map":
        return {key: default_value(schema["values"], value, named) for key, value in default.items()}
    return _leaf(kind, default, schema)


def _leaf(kind: str, default: Any, schema: Avro) -> Any:
    if kind.endswith("-decimal"):
        return _decimal(default, schema.get("scale", 0))
    return _OF[kind](default) if kind in _OF else default


def _decimal(default: str, scale: int) -> Decimal:
    return Decimal(f"{int.from_bytes(default.encode('latin-1'), 'big', signed=True)}E-{scale}")


def _time(microseconds: int) -> time:
    return (_LOCAL_EPOCH + timedelta(microseconds=microseconds)).time()


_OF: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda text: text.encode("latin-1"),
    "fixed": lambda text: text.encode("latin-1"),
    "float": float,
    "double": float,
    "int-date": lambda days: date(1970, 1, 1) + timedelta(days=days),
    "int-time-millis": lambda ms: _time(ms * 1000),
    "long-time-micros": _time,
    "long-timestamp-millis": lambda ms: _EPOCH + timedelta(milliseconds=ms),
    "long-timestamp-micros": lambda us: _EPOCH + timedelta(microseconds=us),
    "long-local-timestamp-millis": lambda ms: _LOCAL_EPOCH + timedelta(milliseconds=ms),
    "long-local-timestamp-micros": lambda us: _LOCAL_EPOCH + timedelta(microseconds=us),
    "string-uuid": UUID,
}
