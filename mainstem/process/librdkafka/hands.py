"""Which events agents are in the middle of: no I/O.

Faust gives one message to each agent that reads its topic; each takes it once, and acknowledges it once. Only the last
acknowledgement is heard of, so what the others did is read off the message's count of those that are to come.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol


class Shared(Hashable, Protocol):
    """A message of Faust's."""

    refcount: int
    """How many have not acknowledged it."""


class Hands:
    """From the first agent that takes a message to the last that acknowledges it."""

    def __init__(self) -> None:
        self._open: dict[Shared, list[int]] = {}

    def take(self, message: Shared) -> None:
        """An agent begins with it."""
        found = self._open.get(message)
        if found is None:
            self._open[message] = [message.refcount, 1]
        else:
            found[1] += 1

    def put_back(self, message: Shared) -> None:
        """An agent failed with it. It has not acknowledged it, and is not in the middle of it any more."""
        if message in self._open:
            self._open[message][1] -= 1

    def finish(self, message: Shared) -> None:
        """All have acknowledged it."""
        self._open.pop(message, None)

    def has_alone(self, message: Shared) -> bool:
        """Whether only one agent reads it."""
        return message in self._open and self._open[message][0] == 1

    def busy(self) -> int:
        """How many messages somebody is in the middle of."""
        return sum(self._is_busy(message, *counts) for message, counts in self._open.items())

    @property
    def has_half_done(self) -> bool:
        """Somebody is done with a message, or in the middle of it, that others have not even begun: what was written of
        it is half of what it causes."""
        return bool(self._open)

    def drop(self) -> None:
        """What nobody is in the middle of will not be finished: it is delivered anew."""
        self._open = {message: counts for message, counts in self._open.items() if self._is_busy(message, *counts)}

    @staticmethod
    def _is_busy(message: Shared, readers: int, taken: int) -> bool:
        return taken > readers - message.refcount
