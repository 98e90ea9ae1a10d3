"""As much of Kafka's wire protocol as a proxy needs: who asks what, and where an answer says how it went.

A request begins with its api key, version and correlation id, an answer with the correlation id; before each stands its
length. See https://kafka.apache.org/protocol; "flexible" versions have compact lengths and tagged fields (KIP-482).
"""

from __future__ import annotations

import asyncio
import struct
from enum import IntEnum
from typing import NamedTuple

NEWEST = 1 << 15


class Api(IntEnum):
    """Requests that can be told apart. The answers of producers' can be changed."""

    PRODUCE = 0
    LIST_OFFSETS = 2
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


_FLEXIBLE_SINCE = {
    Api.PRODUCE: 9,
    Api.INIT_PRODUCER_ID: 2,
    Api.ADD_PARTITIONS_TO_TXN: 3,
    Api.ADD_OFFSETS_TO_TXN: 3,
    Api.END_TXN: 3,
    Api.TXN_OFFSET_COMMIT: 3,
}
_ANSWERED_BY_PARTITION = {Api.PRODUCE: 0, Api.ADD_PARTITIONS_TO_TXN: 4, Api.TXN_OFFSET_COMMIT: 4}
"""Bytes before the list of topics: the throttle time, which Produce says at its end."""


class Asked(NamedTuple):
    """What a request's header says."""

    api: int
    version: int
    correlation: int

    @property
    def is_flexible(self) -> bool:
        return self.version >= _FLEXIBLE_SINCE.get(Api(self.api), NEWEST)


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """One request or answer without its length. Raises IncompleteReadError at the connection's end."""
    size = await reader.readexactly(4)
    return await reader.readexactly(int.from_bytes(size, "big"))


def framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(4, "big") + frame


def asked(request: bytes) -> Asked:
    return Asked(*struct.unpack_from(">hhi", request))


def correlation_of(answer: bytes) -> int:
    return int.from_bytes(answer[:4], "big", signed=True)


def error_of(request: Asked, answer: bytes) -> int:
    """The answer's error code; of those with one for each partition the first one's."""
    at = _error_at(request, answer)
    return int.from_bytes(answer[at : at + 2], "big", signed=True)


def with_error(request: Asked, answer: bytes, error: int) -> bytes:
    """The answer with another error code, in the same place as `error_of`."""
    at = _error_at(request, answer)
    return answer[:at] + error.to_bytes(2, "big", signed=True) + answer[at + 2 :]


def _error_at(request: Asked, answer: bytes) -> int:
    body = 5 if request.is_flexible else 4  # the correlation id, and an empty list of tags
    before_topics = _ANSWERED_BY_PARTITION.get(Api(request.api))
    if before_topics is None:
        return body + 4  # the throttle time
    at = body + before_topics
    if request.is_flexible:
        _, at = _varint(answer, at)
        name, at = _varint(answer, at)
        _, at = _varint(answer, at + name - 1)
    else:
        at += 4
        at += 2 + int.from_bytes(answer[at : at + 2], "big") + 4
    return at + 4  # the partition's number


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7
