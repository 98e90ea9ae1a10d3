"""Python's garbage collector, set for a server: what is there after the start is never looked through again."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 100_000
"""New objects between two looks at the young ones. With Python's 700 a parsed basket of ten lines costs a look every
few requests, and a sink's batch of 5,000 records costs a hundred, each finding what is still under way."""


def settle() -> None:
    """Call it once, when everything is imported and built."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
