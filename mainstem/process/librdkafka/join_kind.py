"""What both kinds of joins have in common: their sides, and what becomes of what has no partner."""

from __future__ import annotations

from enum import Enum, StrEnum


class Kind(StrEnum):
    """What becomes of events without a partner."""

    INNER = "inner"
    """They are left out."""
    LEFT = "left"
    """Those of the left come out alone."""
    OUTER = "outer"
    """Those of both sides do."""


class Side(Enum):
    """Of a join."""

    LEFT = 0
    RIGHT = 1

    @property
    def other(self) -> Side:
        return Side.RIGHT if self is Side.LEFT else Side.LEFT
