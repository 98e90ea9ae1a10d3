"""Which partition a key belongs to, as Kafka's Java clients and librdkafka's `murmur2` choose it."""

from __future__ import annotations

_SEED = 0x9747B28C
_FACTOR = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2 with Kafka's seed, its sign bit cleared as Kafka's partitioner does."""
    value = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at : at + 4], "little") * _FACTOR & _MASK
        part ^= part >> 24
        value = (value * _FACTOR & _MASK) ^ (part * _FACTOR & _MASK)
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _FACTOR & _MASK
    value ^= value >> 13
    value = value * _FACTOR & _MASK
    return (value ^ (value >> 15)) & 0x7FFFFFFF
