"""The forms in which a single value may come, by Avro type, as pydantic-core schemas.

Each lists the Python value itself, JSON's own type, and text, so that webhooks, CSV files and typed publishers meet the
same rules. pydantic-core tries them in Rust; only what it cannot say is a Python function.
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

from pydantic_core import CoreSchema
from pydantic_core import core_schema as cs

from mainstem.codec.avro_shape import Avro, kind_of

_INT = (-(2**31), 2**31 - 1)
_LONG = (-(2**63), 2**63 - 1)
_SINGLE_MAX = 3.4028234663852886e38
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ZONE = r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
_NUMBER = r"^[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,3})?$"
_UUID = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def leaf(schema: Avro, *, exact: bool, naive_is_utc: bool) -> CoreSchema:
    """The forms of one resolved part that is not a record, an array, a map or a union.

    `exact`: text is not turned into numbers or booleans (a branch of a union that may hold text too). `naive_is_utc`: a
    timestamp without zone is taken for UTC instead of being refused.
    """
    kind = kind_of(schema)
    if kind == "enum":
        return cs.literal_schema(list(schema["symbols"]))
    if kind == "fixed":
        return cs.chain_schema([_bytes(), cs.bytes_schema(min_length=schema["size"], max_length=schema["size"])])
    if kind.endswith("-decimal"):
        return _decimal(schema)
    if kind.startswith("long-timestamp-"):
        return _resolution(kind, _timestamp(naive_is_utc))
    if exact and kind in _EXACT:
        return _EXACT[kind]()
    return _resolution(kind, _LEAVES[kind]())


def string() -> CoreSchema:
    """Text that can be encoded: any constraint makes pydantic-core look into it, and it refuses a lone surrogate."""
    return cs.str_schema(strict=True, min_length=0)


def first_of(*choices: CoreSchema) -> CoreSchema:
    """The first form that fits."""
    return cs.union_schema(list(choices), mode="left_to_right")


def _then(schema: CoreSchema, function: Callable[[Any], Any]) -> CoreSchema:
    return cs.no_info_after_validator_function(function, schema)


def _text(pattern: str) -> CoreSchema:
    return cs.str_schema(strict=True, pattern=pattern)


def _resolution(kind: str, schema: CoreSchema) -> CoreSchema:
    return _then(schema, _to_millis) if kind.endswith("-millis") else schema


def _to_millis(value: Any) -> Any:
    """Cut here, so that what is returned is what a reader will get."""
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _whole(bounds: tuple[int, int]) -> CoreSchema:
    return cs.int_schema(strict=True, ge=bounds[0], le=bounds[1])


def _whole_or_text(bounds: tuple[int, int]) -> CoreSchema:
    text = _then(_text(r"^[+-]?[0-9]{1,19}$"), int)
    return first_of(_whole(bounds), cs.chain_schema([text, _whole(bounds)]))


def _double() -> CoreSchema:
    return cs.float_schema(strict=True)


def _double_or_text() -> CoreSchema:
    return first_of(_double(), _then(_text(_NUMBER), float))


def _single(schema: CoreSchema) -> CoreSchema:
    return _then(schema, _in_single_range)


def _in_single_range(value: float) -> float:
    if abs(value) > _SINGLE_MAX and not math.isinf(value):
        raise ValueError("beyond a float of 4 bytes")
    return value


def _boolean_or_text() -> CoreSchema:
    return first_of(cs.bool_schema(strict=True), _then(_text(r"^(?i:true|false)$"), _is_true))


def _is_true(text: str) -> bool:
    return text.lower() == "true"


def _bytes() -> CoreSchema:
    return first_of(cs.bytes_schema(strict=True), _then(string(), partial(b64decode, validate=True)))


def _date() -> CoreSchema:
    return first_of(cs.date_schema(strict=True), cs.chain_schema([_text(f"^{_DAY}$"), cs.date_schema()]))


def _time() -> CoreSchema:
    parsed = cs.chain_schema([_text(f"^{_CLOCK}$"), cs.time_schema(microseconds_precision="truncate")])
    return first_of(_then(cs.time_schema(strict=True), _without_zone), parsed)


def _without_zone(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("a time of day has no zone")
    return value


def _local_timestamp() -> CoreSchema:
    typed = cs.datetime_schema(strict=True, tz_constraint="naive")
    return first_of(typed, _datetime_text(zone=""))


def _timestamp(naive_is_utc: bool) -> CoreSchema:
    if naive_is_utc:
        either = first_of(cs.datetime_schema(strict=True), _datetime_text(zone=f"{_ZONE}?"))
    else:
        either = first_of(cs.datetime_schema(strict=True, tz_constraint="aware"), _datetime_text(zone=_ZONE))
    return _then(either, _in_utc)


def _datetime_text(*, zone: str) -> CoreSchema:
    # The pattern first: the parser alone would also take a bare date or a number of seconds.
    return cs.chain_schema(
        [_text(f"^{_DAY}[Tt ]{_CLOCK}{zone}$"), cs.datetime_schema(microseconds_precision="truncate")]
    )


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999 in UTC") from None


def _uuid() -> CoreSchema:
    return first_of(cs.uuid_schema(strict=True), cs.chain_schema([_text(_UUID), cs.uuid_schema()]))


def _decimal(schema: Avro) -> CoreSchema:
    precision, scale = schema["precision"], schema.get("scale", 0)
    if schema["type"] == "fixed":
        precision = min(precision, len(str(2 ** (8 * schema["size"] - 1) - 1)) - 1)
    whole = precision - scale
    limit = 10**whole - 1 if whole > 0 else 0
    digits = f"(?:0|[0-9]{{1,{whole}}})" if whole > 0 else "0"
    fraction = f"(?:\\.[0-9]{{1,{scale}}})?" if scale else ""
    return first_of(
        _then(_text(f"^[+-]?{digits}{fraction}$"), Decimal),
        _then(_whole((-limit, limit)), Decimal),
        _then(cs.is_instance_schema(Decimal), partial(_fitting, precision, scale)),
    )


def _fitting(precision: int, scale: int, value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("not a number")
    if not value:
        return value if -scale <= exponent <= 0 else Decimal(0)
    if exponent < -scale or value.adjusted() + 1 + scale > precision:
        raise ValueError("more digits than the schema has room for")
    return value


_LEAVES: dict[str, Callable[[], CoreSchema]] = {
    "null": cs.none_schema,
    "boolean": _boolean_or_text,
    "int": partial(_whole_or_text, _INT),
    "long": partial(_whole_or_text, _LONG),
    "float": lambda: _single(_double_or_text()),
    "double": _double_or_text,
    "string": string,
    "bytes": _bytes,
    "int-date": _date,
    "int-time-millis": _time,
    "long-time-micros": _time,
    "long-local-timestamp-millis": _local_timestamp,
    "long-local-timestamp-micros": _local_timestamp,
    "string-uuid": _uuid,
}
_EXACT: dict[str, Callable[[], CoreSchema]] = {
    "boolean": partial(cs.bool_schema, strict=True),
    "int": partial(_whole, _INT),
    "long": partial(_whole, _LONG),
    "float": lambda: _single(_double()),
    "double": _double,
}
