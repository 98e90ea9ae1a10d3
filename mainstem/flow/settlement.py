"""Decides, record by record and in order, what one transaction of a sink makes of a batch.

A record that the target refuses parks its key: it and the later records of that key become dead letters without
being tried, while the other keys flow. A redriven record is tried only when it is the first of its key that waits; one
that does not wait any more has been delivered, and is dropped: a second redrive is a no-op.

Nothing is settled before its turn: a record that fails later in a batch says nothing about those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from mainstem.codec.message import Message
from mainstem.errors import PARKED_BEHIND, Rejected
from mainstem.event import Event, Partition
from mainstem.flow.dead_letter import Failure, first_origin
from mainstem.sdk.sink import Mapped, ParkedKey


class OnFailure(StrEnum):
    """What a refused record means for the later ones of its key."""

    PARK = "park"
    SKIP = "skip"
    BLOCK = "block"


class Item:
    """One record on its way: where it stands, whose order it belongs to, and what decoding and mapping made of it.

    Most records are written and nobody asks for more than their rows: the rest is worked out when it is asked for.
    """

    __slots__ = ("_scope", "event", "is_redriven", "message", "offset", "on_failure", "outcome", "partition")

    def __init__(
        self,
        message: Message,
        partition: Partition,
        event: Event,
        outcome: Mapped | Failure,
        on_failure: OnFailure,
        *,
        is_redriven: bool = False,
    ) -> None:
        self.message = message
        self.partition = partition
        self.offset: int = message.offset() or 0
        self.event = event
        self.outcome = outcome
        self.on_failure = on_failure
        self.is_redriven = is_redriven
        self._scope: ParkedKey | None = None

    @property
    def event_id(self) -> str:
        return self.event.id

    @property
    def scope(self) -> ParkedKey:
        """Whose order it belongs to."""
        if self._scope is None:
            self._scope = self._scope_under(self.on_failure)
        return self._scope

    @property
    def other_scope(self) -> ParkedKey | None:
        """Of a redriven record: where it waits if it was parked before `on_failure` was changed."""
        if not self.is_redriven:
            return None
        return self._scope_under(OnFailure.PARK if self.on_failure is OnFailure.SKIP else OnFailure.SKIP)

    def waits_under(self, scope: ParkedKey) -> None:
        """It belongs to that order instead."""
        self._scope = scope

    def _scope_under(self, on_failure: OnFailure) -> ParkedKey:
        topic = first_origin(self.message).topic if self.is_redriven else self.partition.topic
        return scope_of(topic, self.message.key(), self.event.id, on_failure)


class Verdict(Enum):
    """What becomes of a record, given what has become of those before it."""

    DELIVER = auto()
    DROP = auto()
    """A redriven record that does not wait (any more), or a second copy of one that waits already: a stream that was
    killed writes its last outputs again."""
    FAILED = auto()
    """Its own decoding or mapping failed."""
    BEHIND = auto()
    """An earlier one of its key waits."""


def scope_of(topic: str, key: bytes | None, event_id: str, on_failure: OnFailure) -> ParkedKey:
    """Whose order a record belongs to: its key's or, where no order is kept, its own alone."""
    if on_failure is OnFailure.SKIP or key is None:
        return ParkedKey(topic, b"\x00" + event_id.encode())
    return ParkedKey(topic, key)


@dataclass
class _Lines:
    """The event ids that wait, by key, as far as the transaction has come."""

    waiting: dict[ParkedKey, list[str]]
    refused: set[tuple[ParkedKey, str]] = field(default_factory=set)
    """Redriven records that failed again: a second copy of one in the same transaction would only fail once more."""

    def copy(self, items: Iterable[Item]) -> _Lines:
        """The part that these items can see or change."""
        return _Lines({item.scope: list(self.waiting.get(item.scope, ())) for item in items}, set(self.refused))

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
        if item.event_id not in line or (item.scope, item.event_id) in self.refused:
            return Verdict.DROP
        if line[0] != item.event_id:
            return Verdict.BEHIND
        if isinstance(item.outcome, Failure):
            self.refuse(item)
            return Verdict.FAILED
        line.pop(0)
        return Verdict.DELIVER

    def refuse(self, item: Item) -> None:
        if item.is_redriven:
            self.refused.add((item.scope, item.event_id))
        else:
            self.waiting.setdefault(item.scope, []).append(item.event_id)


class Settlement:
    """The decisions of one transaction. `waiting` has the event ids that wait at its start, for every key concerned."""

    def __init__(self, waiting: Mapping[ParkedKey, Sequence[str]], part: str) -> None:
        self._lines = _Lines({key: list(ids) for key, ids in waiting.items() if ids})
        self._part = part
        self.delivered: list[Item] = []
        self.letters: list[tuple[Item, Failure]] = []
        self.dropped: list[Item] = []
        self.parked: list[Item] = []
        self.released: list[Item] = []

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
