"""The records that wait, key by key, and what that makes of the next one.

A record that was refused parks its key: the later ones of that key wait behind it, without being tried. A redriven
record is tried only when it is the first of its key that waits; one that does not wait any more has been delivered,
and is dropped: a second redrive is a no-op.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


class Lines:
    """The event ids that wait, by key, as far as the decisions have come."""

    def __init__(self, waiting: Mapping[ParkedKey, Iterable[str]]) -> None:
        self._lines = {key: dict.fromkeys(line) for key, ids in waiting.items() if (line := list(ids))}
        self._refused: set[tuple[ParkedKey, str]] = set()
        """Redriven records that failed again: a second copy in the same transaction would only fail once more."""

    def __len__(self) -> int:
        """How many keys are parked."""
        return len(self._lines)

    def __contains__(self, key: ParkedKey) -> bool:
        return key in self._lines

    def waits(self, key: ParkedKey, event_id: str) -> bool:
        return event_id in self._lines.get(key, ())

    def copy(self, items: Iterable[Item]) -> Lines:
        """The part that these items can see or change."""
        copy = Lines({item.scope: self._lines.get(item.scope, ()) for item in items})
        copy._refused = set(self._refused)
        return copy

    def judge(self, item: Item) -> Verdict:
        """The record's verdict. Changes nothing: `carry_out` does."""
        line = self._lines.get(item.scope, ())
        waits = item.event_id in line
        if item.is_redriven:
            return self._judge_redriven(item, waits)
        if waits:
            return Verdict.DROP
        if line:
            return Verdict.BEHIND
        return Verdict.FAILED if isinstance(item.outcome, Failure) else Verdict.DELIVER

    def _judge_redriven(self, item: Item, waits: bool) -> Verdict:
        if not waits:
            return Verdict.DROP
        if item.is_given_up:
            return Verdict.DISCARD
        if (item.scope, item.event_id) in self._refused:
            return Verdict.DROP
        if next(iter(self._lines[item.scope])) != item.event_id:
            return Verdict.BEHIND
        return Verdict.FAILED if isinstance(item.outcome, Failure) else Verdict.DELIVER

    def carry_out(self, item: Item, verdict: Verdict) -> None:
        """The lines as they are when the verdict has come true."""
        if item.is_redriven and verdict in {Verdict.DELIVER, Verdict.DISCARD}:
            self._release(item)
        elif verdict is Verdict.FAILED or (verdict is Verdict.BEHIND and not item.is_redriven):
            self.refuse(item)

    def refuse(self, item: Item) -> None:
        """It waits from now on, behind those of its key that wait already; a redriven one goes on waiting."""
        if item.is_redriven:
            self._refused.add((item.scope, item.event_id))
        else:
            self._lines.setdefault(item.scope, {})[item.event_id] = None

    def may_be_tried_again(self, item: Item) -> None:
        """It is known to have failed, so a copy that comes now was sent with that knowledge."""
        self._refused.discard((item.scope, item.event_id))

    def _release(self, item: Item) -> None:
        line = self._lines[item.scope]
        del line[item.event_id]
        if not line:
            del self._lines[item.scope]
