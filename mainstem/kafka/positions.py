"""Positions: how far sources have read and outboxes have shipped, in one compacted topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from mainstem.kafka.reader import offset_of, reading

POSITIONS: Final = "_mainstem.positions"


def read_position(config: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The last committed position under that key, or None.

    Call it after the owner's `transactional.id` has been taken over: nothing is written under the key after that.
    """
    found: dict[str, Any] | None = None
    with reading(config) as reader:
        for messages in reader.read(reader.whole([POSITIONS])):
            for message in messages:
                if message.key() == key.encode() and offset_of(message) >= 0:
                    value = message.value()
                    found = None if value is None else orjson.loads(value)
    return found
