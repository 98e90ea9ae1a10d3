"""Decides, record by record and in order, what one transaction of a sink makes of a batch.

Nothing is settled before its turn: a record that fails later in a batch says nothing about those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mainstem.errors import PARKED_BEHIND, Rejected
from mainstem.flow.dead_letter import Failure
from mainstem.flow.item import Item
from mainstem.flow.lines import Lines, Verdict
from mainstem.sdk.sink import ParkedKey


class Settlement:
    """The decisions of one transaction. `waiting` has the event ids that wait at its start, for every key concerned."""

    def __init__(self, waiting: Mapping[ParkedKey, Sequence[str]], part: str) -> None:
        self._lines = Lines({key: list(ids) for key, ids in waiting.items() if ids})
        self._part = part
        self.delivered: list[Item] = []
        self.letters: list[tuple[Item, Failure]] = []
        self.dropped: list[Item] = []
        self.parked: list[Item] = []
        self.released: list[Item] = []
        """Redriven records that wait no longer: delivered, or given up."""

    def admit(self, items: Sequence[Item]) -> list[Item]:
        """Those to be written next, given that all of them succeed. Settles nothing."""
        lines = self._lines.copy(items)
        return [item for item in items if lines.judge(item) is Verdict.DELIVER]

    def first_refused(self, items: Sequence[Item]) -> tuple[Item, Failure] | None:
        """The first that fails even if everything that is admitted succeeds. Settles nothing."""
        lines = self._lines.copy(items)
        judged = ((item, self._failure(item, lines.judge(item))) for item in items)
        return next(((item, failure) for item, failure in judged if failure is not None), None)

    def settle(self, items: Iterable[Item]) -> None:
        """All of these that were admitted have been written; the others get what is theirs, each in its turn."""
        for item in items:
            verdict = self._lines.judge(item)
            failure = self._failure(item, verdict)
            if failure is not None:
                self._note_refusal(item, failure)
            elif verdict is Verdict.DROP:
                self.dropped.append(item)
            elif verdict is Verdict.DISCARD:
                self.released.append(item)
            else:
                self.delivered.append(item)
                if item.is_redriven:
                    self.released.append(item)

    def refuse(self, item: Item, failure: Failure) -> None:
        """The target refuses this one, which was admitted."""
        self._lines.refuse(item)
        self._note_refusal(item, failure)

    def _note_refusal(self, item: Item, failure: Failure) -> None:
        self.letters.append((item, failure))
        if not item.is_redriven:
            self.parked.append(item)

    def _failure(self, item: Item, verdict: Verdict) -> Failure | None:
        if verdict is Verdict.BEHIND:
            error = Rejected("an earlier record of its key waits in the dead-letter topic", code=PARKED_BEHIND)
            return Failure(error, self._part, "park")
        return item.outcome if isinstance(item.outcome, Failure) and verdict is Verdict.FAILED else None
