"""Python's garbage collector, set for batches."""

from __future__ import annotations

import gc

OLDER = (20, 50)
"""How often the younger generations are looked through before the older ones are."""


def look_less(young_objects: int) -> None:
    """Looks at the young objects when there are so many of them, and never again at those that there are now.

    By default it looks at each 700: a batch of 1,000 events is looked through some ten times while it is worked on, and
    all of it is still in use. None of that changes where somebody has set it to look less still.
    """
    if gc.get_threshold()[0] < young_objects:
        gc.collect()
        gc.freeze()
        gc.set_threshold(young_objects, *OLDER)
