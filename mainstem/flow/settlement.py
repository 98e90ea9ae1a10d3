"""Decides, record by record and in order, what one transaction of a sink makes of a batch.

Nothing is settled before its turn: a record that fails later in a batch says nothing about those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mainstem.errors import PARKED_BEHIND, PARKED_TOO_MANY, Misconfigured, Rejected
from mainstem.event import Origin
from mainstem.flow.dead_letter import Failure
from mainstem.flow.item import Item
from mainstem.flow.lines import Lines, Verdict
from mainstem.sdk.sink import ParkedKey


@dataclass
class Outcomes:
    """What has become of records, each list in the order of the decisions."""

    delivered: list[Item] = field(default_factory=list)
    letters: list[tuple[Item, Failure]] = field(default_factory=list)
    dropped: list[Item] = field(default_factory=list)
    parked: list[Item] = field(default_factory=list)
    """Those of the letters that wait from now on; a redriven one goes on waiting."""
    released: list[Item] = field(default_factory=list)
    """Redriven records that wait no longer: delivered, or given up."""

    def note(self, item: Item, verdict: Verdict, failure: Failure | None = None) -> None:
        """One record's end. `failure` is why, where it has none of its own: the target refuses it."""
        if failure is not None:
            self.letters.append((item, failure))
            if not item.is_redriven:
                self.parked.append(item)
        elif verdict is Verdict.DROP:
            self.dropped.append(item)
        else:
            if verdict is Verdict.DELIVER:
                self.delivered.append(item)
            if item.is_redriven:
                self.released.append(item)


def failure_of(item: Item, verdict: Verdict, part: str) -> Failure | None:
    """Why a record with that verdict becomes a letter; None for one that does not."""
    if verdict is Verdict.BEHIND:
        error = Rejected("an earlier record of its key waits in the dead-letter topic", code=PARKED_BEHIND)
        return Failure(error, part, "park")
    return item.outcome if isinstance(item.outcome, Failure) and verdict is Verdict.FAILED else None


def blocked(item: Item, failure: Failure) -> Misconfigured:
    """The error of a sink that stops for a refused record: `on_failure` is block."""
    error, place = failure.error, Origin(*item.partition, item.offset)
    said = f"{place} is refused and on_failure is block: {error.cause}"
    return Misconfigured(said, code=error.code, fix=error.fix)


def too_many_parked(part: str, keys: int) -> Misconfigured:
    """The error of a sink that would have to park one key more than `delivery.max_parked_keys`."""
    return Misconfigured(f"{part} has {keys} parked keys, and a record of another one is refused", code=PARKED_TOO_MANY)


class Settlement(Outcomes):
    """The decisions of one transaction. `waiting` has the event ids that wait at its start, for every key concerned."""

    def __init__(self, waiting: Mapping[ParkedKey, Sequence[str]], part: str) -> None:
        super().__init__()
        self._lines = Lines(waiting)
        self._part = part

    def admit(self, items: Sequence[Item]) -> list[Item]:
        """Those to be written next, given that all of them succeed. Settles nothing."""
        return [item for item, verdict in self._foreseen(items) if verdict is Verdict.DELIVER]

    def first_refused(self, items: Sequence[Item]) -> tuple[Item, Failure] | None:
        """The first that fails even if everything that is admitted succeeds. Settles nothing."""
        judged = ((item, failure_of(item, verdict, self._part)) for item, verdict in self._foreseen(items))
        return next(((item, failure) for item, failure in judged if failure is not None), None)

    def settle(self, items: Iterable[Item]) -> None:
        """All of these that were admitted have been written; the others get what is theirs, each in its turn."""
        for item in items:
            verdict = self._lines.judge(item)
            self._lines.carry_out(item, verdict)
            self.note(item, verdict, failure_of(item, verdict, self._part))

    def refuse(self, item: Item, failure: Failure) -> None:
        """The target refuses this one, which was admitted."""
        self._lines.refuse(item)
        self.note(item, Verdict.FAILED, failure)

    def _foreseen(self, items: Sequence[Item]) -> Iterator[tuple[Item, Verdict]]:
        lines = self._lines.copy(items)
        for item in items:
            verdict = lines.judge(item)
            lines.carry_out(item, verdict)
            yield item, verdict
