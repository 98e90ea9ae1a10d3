"""One record of a sink's batch, and whose order it belongs to."""

from __future__ import annotations

from enum import StrEnum

from mainstem.codec.message import Message
from mainstem.event import Event, Partition
from mainstem.flow.dead_letter import Failure, first_origin
from mainstem.sdk.sink import Mapped, ParkedKey


class OnFailure(StrEnum):
    """What a refused record means for the later ones of its key."""

    PARK = "park"
    SKIP = "skip"
    BLOCK = "block"


class GivenUp:
    """The outcome of a redriven record that an operator has dropped: it is to wait no longer, and not to be written."""


class Item:
    """One record on its way: where it stands, whose order it belongs to, and what decoding and mapping made of it.

    Most records are written and nobody asks for more than their rows: the rest is worked out when it is asked for.
    """

    __slots__ = (
        "_scope", "event", "is_redriven", "message", "offset", "on_failure", "outcome", "partition",
    )  # fmt: skip

    def __init__(
        self,
        message: Message,
        partition: Partition,
        event: Event,
        outcome: Mapped | Failure | GivenUp,
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
    def is_given_up(self) -> bool:
        """Whether an operator has dropped it."""
        return isinstance(self.outcome, GivenUp)

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


def scope_of(topic: str, key: bytes | None, event_id: str, on_failure: OnFailure) -> ParkedKey:
    """Whose order a record belongs to: its key's or, where no order is kept, its own alone."""
    if on_failure is OnFailure.SKIP or key is None:
        return ParkedKey(topic, b"\x00" + event_id.encode())
    return ParkedKey(topic, key)
