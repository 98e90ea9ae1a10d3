"""Python's interpreter, set for a server: its garbage collector, and how its threads take turns."""

from __future__ import annotations

import gc
import sys

YOUNG_OBJECTS = 100_000
"""New objects between two looks at the young ones. With Python's 700 a parsed basket of ten lines costs a look every
few requests, and a sink's batch of 5,000 records costs a hundred, each finding what is still under way."""

TURN_S = 0.0002
"""How long one thread may keep the others waiting. While a batch is decoded, the thread that writes the one before it
needs many short turns, and with Python's 5 ms each of them waits that long."""


def settle() -> None:
    """Call it once, when everything is imported and built: what is there then is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
    sys.setswitchinterval(TURN_S)
