"""A stream's report for tests: what would make a running stream wait for a person is raised instead."""

from __future__ import annotations

from mainstem.errors import MainstemError, Unreachable
from mainstem.event import Event
from mainstem.flow.dead_letter import Failure
from mainstem.process.report import StreamReport

OUTAGE_TRIES = 10
"""Tries in a row that find a dependency unreachable, after which a test need not wait for it any longer."""


class RaisingReport(StreamReport):
    """Raises the bug itself, Misconfigured, and Unreachable when it is said too often."""

    _outage = 0

    def dead_letter(self, event: Event, failure: Failure) -> None:
        """Says nothing: the letter is there to be looked at, and what a command prints is not to be mixed with it."""

    def pauses(self, error: MainstemError, bug: BaseException | None = None) -> None:
        super().pauses(error, bug)
        raise bug or error

    def waits(self, error: MainstemError) -> None:
        super().waits(error)
        self._outage += isinstance(error, Unreachable)
        if self._outage >= OUTAGE_TRIES:
            raise error
