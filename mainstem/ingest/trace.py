"""W3C trace context: an event keeps its sender's trace, or starts one. Source: https://www.w3.org/TR/trace-context/"""

from __future__ import annotations

import random
import re

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent(given: str | None) -> str:
    """The sender's `traceparent` where it is a valid one, a new one otherwise."""
    if given is not None and _PARENT.fullmatch(given):
        return given
    # An id and no secret: asking the system for it would take five times as long.
    made = f"{random.getrandbits(192):048x}"
    return f"00-{made[:32]}-{made[32:]}-01"


def trace_id(parent: str) -> str:
    """The trace's id within a `traceparent`, for logs."""
    return parent[3:35]
