from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.process.librdkafka.murmur2 import murmur2

# From Kafka's own test of its Java client (Utils.murmur2), the sign bit cleared.
KNOWN = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}


@pytest.mark.parametrize(("key", "hashed"), KNOWN.items())
def test_a_key_is_hashed_as_kafkas_java_client_does(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0x7FFFFFFF


@given(st.binary(max_size=64))
def test_every_hash_is_a_partition_number_before_the_remainder(key: bytes) -> None:
    assert 0 <= murmur2(key) < 1 << 31
