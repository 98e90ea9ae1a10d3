"""Positions: how far sources have read and outboxes have shipped, in one compacted topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from mainstem.kafka.compacted import read_compacted

POSITIONS: Final = "_mainstem.positions"


def read_position(config: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The last committed position under that key, or None. Blocks; raises as `read_compacted` does.

    Call it after the owner's `transactional.id` has been taken over: nothing is written under the key after that.
    """
    value = read_compacted(config, POSITIONS).get(key.encode())
    found: dict[str, Any] | None = None if value is None else orjson.loads(value)
    return found
