"""The short way of a table's JSON gives what Faust's codecs give."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import faust
import psutil
import pytest
from faust.exceptions import ValueDecodeError
from hypothesis import given
from hypothesis import strategies as st

from mainstem.process.librdkafka import App
from mainstem.process.librdkafka.coding import coding


class Point(faust.Record):
    x: int


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def store_of(**options: Any) -> Any:
    return App("a", broker="librdkafka://127.0.0.1:9").Table("t", **options).data


STORE = store_of()


@given(JSON | st.text(st.characters(max_codepoint=0x7F)))
def test_plain_values_are_the_same_bytes_and_come_back(value: Any) -> None:
    short = coding(STORE)
    encoded = short.encode_value(value)
    assert encoded == STORE._encode_value(value)
    assert encoded is not None
    assert short.decode_value(encoded) == STORE._decode_value(encoded)


@pytest.mark.parametrize("key", ["k", 7, ("k", (0.0, 60.0)), b"raw"])
def test_keys_are_the_same_bytes(key: Any) -> None:
    assert coding(STORE).encode_key(key) == STORE._encode_key(key)


def test_raw_bytes_stay_what_they_are_and_nothing_else_passes_for_them() -> None:
    store = store_of(key_type=bytes, value_type=bytes)
    short = coding(store)
    for value in (b"", b"k", b"\xff\x00"):
        assert short.encode_key(value) == store._encode_key(value) == value
        assert short.encode_value(value) == store._encode_value(value) == value
        assert short.decode_key(value) == store.table._to_key(store._decode_key(value)) == value
        assert short.decode_value(value) == store._decode_value(value) == value
    for wrong in (None, "k", bytearray(b"k")):
        with pytest.raises(TypeError):
            short.encode_key(wrong)


def test_a_windowed_key_comes_back_as_it_was() -> None:
    short = coding(STORE)
    assert short.decode_key(short.encode_key(("k", (0.0, 60.0)))) == ("k", (0.0, 60.0))


def test_models_are_models_again() -> None:
    short = coding(STORE)
    encoded = short.encode_value(Point(x=1))
    assert encoded == STORE._encode_value(Point(x=1))
    assert encoded is not None
    assert short.decode_value(encoded) == Point(x=1)


def test_no_key_is_refused() -> None:
    with pytest.raises(TypeError, match="None"):
        coding(store_of(key_type=bytes)).encode_key(None)


def test_bytes_that_are_no_json_are_refused_in_fausts_words() -> None:
    with pytest.raises(ValueDecodeError):
        coding(STORE).decode_value(b"{")


def test_a_table_of_another_type_takes_fausts_way() -> None:
    store = store_of(value_type=int)
    assert coding(store).decode_value(b'"5"') == 5


def test_a_chain_of_codecs_is_not_taken_for_plain_json() -> None:
    store: Any = SimpleNamespace(
        key_type=None,
        value_type=None,
        key_serializer="json",
        value_serializer="json|binary",
        _encode_key=str.encode,
        _decode_key=bytes.decode,
        _encode_value=lambda value: b"chain",
        _decode_value=lambda value: "chain",
    )
    assert coding(store).encode_value(1) == b"chain"
    assert coding(store).decode_value(b"1") == "chain"


def test_what_is_kept_takes_no_more_memory_than_it_needs() -> None:
    """orjson gives bytes that occupy far more than they say."""
    short = coding(STORE)
    before = resident_bytes()
    kept = [short.encode_key(f"customer-{number}") for number in range(50_000)]
    assert (resident_bytes() - before) / len(kept) < 500


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)
