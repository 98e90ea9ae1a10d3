"""When to try the short way again after it has failed."""

from __future__ import annotations

MOST_BATCHES = 64
"""So long the long way is taken at most: a try that fails costs about as much as the long way itself."""


class Detour:
    """After a failure one batch goes the long way, then two, four and so on, until the short way works again."""

    def __init__(self) -> None:
        self._left = 0
        self._next = 1

    def is_taken(self) -> bool:
        """Whether the next batch is to go the long way; it counts as gone then."""
        if self._left == 0:
            return False
        self._left -= 1
        return True

    def failed(self) -> None:
        """The short way."""
        self._left = self._next
        self._next = min(2 * self._next, MOST_BATCHES)

    def worked(self) -> None:
        """The short way."""
        self._next = 1
