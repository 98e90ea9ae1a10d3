"""The records that wait, key by key, and what that makes of the next one.

A record that was refused parks its key: the later ones of that key wait behind it, without being tried. A redriven
record is tried only when it is the first of its key that waits; one that does not wait any more has been delivered,
and is dropped: a second redrive is a no-op.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from mainstem.flow.dead_letter import Failure
from mainstem.flow.item import Item
from mainstem.sdk.sink import ParkedKey


class Verdict(Enum):
    """What becomes of a record, given what has become of those before it."""

    DELIVER = auto()
    DROP = auto()
    """A redriven record that does not wait (any more), or a second copy of one that waits already: a stream that was
    killed writes its last outputs again."""
    DISCARD = auto()
    """A redriven record that waits, and that an operator has given up: it waits no longer, wherever it stood."""
    FAILED = auto()
    """Its own decoding or mapping failed."""
    BEHIND = auto()
    """An earlier one of its key waits."""


@dataclass
class Lines:
    """The event ids that wait, by key, as far as the transaction has come."""

    waiting: dict[ParkedKey, list[str]]
    refused: set[tuple[ParkedKey, str]] = field(default_factory=set)
    """Redriven records that failed again: a second copy of one in the same transaction would only fail once more."""

    def copy(self, items: Iterable[Item]) -> Lines:
        """The part that these items can see or change."""
        return Lines({item.scope: list(self.waiting.get(item.scope, ())) for item in items}, set(self.refused))

    def judge(self, item: Item) -> Verdict:
        """The record's verdict, and the lines as they are when it is carried out."""
        if item.is_redriven:
            return self._judge_redriven(item)
        line = self.waiting.get(item.scope, ())
        if item.event_id in line:
            return Verdict.DROP
        verdict = Verdict.FAILED if isinstance(item.outcome, Failure) else Verdict.DELIVER
        if line:
            verdict = Verdict.BEHIND
        if verdict is not Verdict.DELIVER:
            self.refuse(item)
        return verdict

    def _judge_redriven(self, item: Item) -> Verdict:
        line = self.waiting.get(item.scope, [])
        if item.event_id not in line:
            return Verdict.DROP
        if item.is_given_up:
            line.remove(item.event_id)
            return Verdict.DISCARD
        if (item.scope, item.event_id) in self.refused:
            return Verdict.DROP
        if line[0] != item.event_id:
            return Verdict.BEHIND
        if isinstance(item.outcome, Failure):
            self.refuse(item)
            return Verdict.FAILED
        line.pop(0)
        return Verdict.DELIVER

    def refuse(self, item: Item) -> None:
        """It waits from now on, behind those of its key that wait already; a redriven one goes on waiting."""
        if item.is_redriven:
            self.refused.add((item.scope, item.event_id))
        else:
            self.waiting.setdefault(item.scope, []).append(item.event_id)
