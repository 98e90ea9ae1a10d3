"""How many examples a property or a model is tried with: all in `make test`, fewer in `make check`, which waits for it.

`MAINSTEM_THOROUGH` is the share of the examples: 0.2 for a fifth, 100 for a night.
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("MAINSTEM_THOROUGH", "1"))


def examples(usual: int) -> int:
    """So many, where so many are usual."""
    return max(5, round(SHARE * usual))
