"""Whether a worker has come to a stop without a word: a value that is told what is seen, no I/O.

Kafka's own sign of life does not find it: librdkafka sends heartbeats from a thread of its own, whatever the rest does.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

UNSEEN_S: Final = 5.0
"""Longer than this between two looks, the whole process was asleep or starved: that is nobody's stall."""


class Thing(StrEnum):
    """What has to go on, besides the partitions."""

    LOOP = "the event loop"
    CONSUMER = "the consumer's thread"


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen of a worker at one moment."""

    answers: int
    """How many questions the event loop has answered so far."""
    turns: int
    """How many turns the consumer's thread has made so far."""
    waiting: Mapping[Hashable, Hashable]
    """Of each partition that has events under way: how far they are, as anything that can be compared."""
    is_paused: bool = False
    """The app says that its events have to wait, for a reason that a new start would not change."""


class Stall:
    """Adds up for how long each thing has not moved."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._still: dict[Hashable, tuple[Hashable, float]] = {}

    def look(self, look: Look, elapsed_s: float) -> str | None:
        """Why the worker is to be started anew; None while all is well. `elapsed_s` is the time since the last look."""
        waiting = {} if look.is_paused else look.waiting
        seen: dict[Hashable, Hashable] = {Thing.LOOP: look.answers, Thing.CONSUMER: look.turns, **waiting}
        elapsed_s = min(elapsed_s, UNSEEN_S)
        self._still = {what: (value, self._age(what, value, elapsed_s)) for what, value in seen.items()}
        for what, (_, age_s) in self._still.items():
            if age_s >= self._limit_s:
                return self._reason(what, age_s)
        return None

    @property
    def commit_age_s(self) -> float:
        """For how long events have waited without a commit, where they wait longest. 0 where none does."""
        return max((age_s for what, (_, age_s) in self._still.items() if not isinstance(what, Thing)), default=0.0)

    def forgive(self) -> None:
        """There was a reason: the clocks begin anew."""
        self._still = {}

    def _age(self, what: Hashable, value: Hashable, elapsed_s: float) -> float:
        before, age_s = self._still.get(what, (None, 0.0))
        return age_s + elapsed_s if value == before else 0.0

    def _reason(self, what: Hashable, age_s: float) -> str:
        if isinstance(what, Thing):
            return f"{what} has not moved for {age_s:.0f} s"
        place = "/".join(map(str, what)) if isinstance(what, tuple) else str(what)
        return f"{place} has had events under way for {age_s:.0f} s without a commit"
