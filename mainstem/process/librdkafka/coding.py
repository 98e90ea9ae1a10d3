"""The keys and values of a table as bytes, exactly as Faust's codecs write them, with a short way for plain JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from faust.serializers.codecs import get_codec
from faust.serializers.codecs import json as JsonCodec
from faust.utils import json

PLAIN = frozenset({str, int, float, bool, dict, list, tuple, type(None)})
"""What Faust's JSON codec encodes without asking a model: these types themselves, not those derived from them."""
RAW = "raw"
MODEL_KEY = "__faust"
MOST_INT = 2**63 - 1
"""What any JSON codec takes; some refuse more."""


class Coding(NamedTuple):
    """How one table is encoded. Encoding a key of None raises TypeError."""

    encode_key: Callable[[Any], bytes]
    encode_value: Callable[[Any], bytes | None]
    decode_key: Callable[[bytes], Any]
    decode_value: Callable[[bytes], Any]


def coding(store: Any) -> Coding:
    """Of one of Faust's stores. Its own methods look up the codec, and search for models, at each call: five times as
    long as the encoding itself."""
    is_plain_key = store.key_type is None and _is_json(store.key_serializer)
    is_plain_value = store.value_type is None and _is_json(store.value_serializer)
    has_raw_keys = store.key_type is bytes and store.key_serializer == RAW and store.table.window is None
    has_raw_values = store.value_type is bytes and store.value_serializer == RAW
    return Coding(
        _as_it_is if has_raw_keys else _encoder(store._encode_key) if is_plain_key else store._encode_key,
        _as_it_is if has_raw_values else _encoder(store._encode_value) if is_plain_value else store._encode_value,
        _as_it_is if has_raw_keys else _key_decoder(store),
        _as_it_is if has_raw_values else _decoder(store._decode_value) if is_plain_value else store._decode_value,
    )


def _as_it_is(encoded: bytes) -> bytes:
    if type(encoded) is not bytes:
        raise TypeError(f"the table holds bytes, not {type(encoded).__name__}")
    return encoded


def _is_json(serializer: Any) -> bool:
    codec = get_codec(serializer)
    return type(codec) is JsonCodec and not codec.children


def _encoder(otherwise: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What it gives is kept, so it is copied: orjson's own bytes occupy kilobytes each, most of it unused, and cost a
    fresh page of memory to make (100,000 short ones: 400 MB and 3.5 us each, instead of 7 MB and less than 1 us)."""
    dumps: Callable[[Any], Any] = json.dumps

    def encode(value: Any) -> Any:
        kind = type(value)
        if kind is str and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            return f'"{value}"'.encode()
        if kind is int and -MOST_INT <= value <= MOST_INT:
            return b"%d" % value
        if kind in PLAIN and value is not None:
            encoded = dumps(value)
            return bytes(memoryview(encoded)) if type(encoded) is bytes else encoded.encode()
        return otherwise(value)

    return encode


def _decoder(otherwise: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    loads: Callable[[Any], Any] = json.loads

    def decode(encoded: bytes) -> Any:
        try:
            value = loads(encoded)
        except ValueError:
            return otherwise(encoded)  # which says it in Faust's words
        return otherwise(encoded) if type(value) is dict and MODEL_KEY in value else value

    return decode


def _key_decoder(store: Any) -> Callable[[bytes], Any]:
    def decode(encoded: bytes) -> Any:
        return store.table._to_key(store._decode_key(encoded))

    return decode
