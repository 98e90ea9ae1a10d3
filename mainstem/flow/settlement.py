"""Decides, record by record and in order, what one transaction of a sink makes of a batch.

A record that the target refuses parks its key: it and the later records of that key become dead letters without
being tried, while the other keys flow. A redriven record is tried only when it is the first of its key that waits; one
that does not wait any more has been delivered, and is dropped: a second redrive is a no-op.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mainstem.codec.message import Message
from mainstem.errors import PARKED_BEHIND, Rejected
from mainstem.event import Partition
from mainstem.flow.dead_letter import Failure
from mainstem.sdk.sink import Mapped, ParkedKey


class OnFailure(StrEnum):
    """What a refused record means for the later ones of its key."""

    PARK = "park"
    SKIP = "skip"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Item:
    """One record on its way: where it stands, whose order it belongs to, and what decoding and mapping made of it."""

    message: Message
    partition: Partition
    offset: int
    event_id: str
    scope: ParkedKey
    is_redriven: bool
    outcome: Mapped | Failure


def scope_of(topic: str, key: bytes | None, event_id: str, on_failure: OnFailure) -> ParkedKey:
    """Whose order a record belongs to: its key's or, where no order is kept, its own alone."""
    if on_failure is OnFailure.SKIP or key is None:
        return ParkedKey(topic, b"\x00" + event_id.encode())
    return ParkedKey(topic, key)


class Settlement:
    """The decisions of one transaction. `waiting` has the event ids that wait at its start, for every key concerned."""

    def __init__(self, waiting: Mapping[ParkedKey, Sequence[str]], part: str) -> None:
        self._waiting = {key: list(ids) for key, ids in waiting.items() if ids}
        self._part = part
        self.delivered: list[Item] = []
        self.letters: list[tuple[Item, Failure]] = []
        self.dropped: list[Item] = []
        self.parked: list[Item] = []
        self.released: list[Item] = []

    def admit(self, items: Iterable[Item]) -> list[Item]:
        """Those that may be written now, given that the ones before them succeed. The others are settled."""
        ahead: dict[ParkedKey, int] = {}
        admitted = []
        for item in items:
            if not self._may_try(item, ahead):
                continue
            if isinstance(item.outcome, Failure):
                self.refuse(item, item.outcome)
            else:
                admitted.append(item)
                if item.is_redriven:
                    ahead[item.scope] = ahead.get(item.scope, 0) + 1
        return admitted

    def deliver(self, items: Iterable[Item]) -> None:
        """These were written."""
        for item in items:
            self.delivered.append(item)
            if item.is_redriven:
                self._waiting[item.scope].remove(item.event_id)
                self.released.append(item)

    def refuse(self, item: Item, failure: Failure) -> None:
        """This one cannot be written."""
        self.letters.append((item, failure))
        if not item.is_redriven:
            self._waiting.setdefault(item.scope, []).append(item.event_id)
            self.parked.append(item)

    def in_order(self) -> None:
        """Sorts letters and parked records as they stood: a mapping's failure is known before a write's."""
        self.letters.sort(key=lambda letter: (letter[0].partition, letter[0].offset))
        self.parked.sort(key=lambda item: (item.partition, item.offset))

    def _may_try(self, item: Item, ahead: Mapping[ParkedKey, int]) -> bool:
        waiting = self._waiting.get(item.scope, [])
        if not item.is_redriven:
            if waiting:
                self.refuse(item, self._behind(item))
            return not waiting
        if item.event_id not in waiting:
            self.dropped.append(item)
            return False
        if waiting.index(item.event_id) != ahead.get(item.scope, 0):
            self.refuse(item, self._behind(item))
            return False
        return True

    def _behind(self, item: Item) -> Failure:
        error = Rejected("an earlier record of its key waits in the dead-letter topic", code=PARKED_BEHIND)
        return Failure(error, self._part, "park")
