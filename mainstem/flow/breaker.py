"""Keeps everybody from a target that does not answer, but for one try now and then.

Closed, everybody may try. The first outage opens it. When its pause is over it is half open: one try is let through,
which closes it or opens it again, for longer. No I/O and no clock: time is given in, in seconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from mainstem.flow.retry import RetryPolicy

OUTAGE = RetryPolicy(first_s=0.2, max_s=10.0)
"""Pauses of a target that does not answer: short, so that it is in use again soon after it is back."""
PROBE_LEASE_S = 300.0
"""A probe that has said nothing for so long counts for nothing: whoever made it may be gone."""


class BreakerState(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    """Everything."""
    OPEN = "open"
    """Nothing."""
    HALF_OPEN = "half-open"
    """One try, if none is under way."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The leave to try once. Give it back with `succeeded`, `failed` or `returned`."""

    opening: int
    is_probe: bool


@dataclass
class Breaker:
    """One target's. Several workers may share it."""

    policy: RetryPolicy = OUTAGE
    draw: Callable[[float, float], float] = random.uniform
    _listeners: list[Callable[[BreakerState], None]] = field(default_factory=list)
    _failures: int = 0
    """Openings in a row."""
    _opening: int = 0
    """Counts the openings: what a try says that began before the last one is old news."""
    _opens_until: float = 0.0
    _probe: Ticket | None = None
    _probe_until: float = 0.0

    @contextmanager
    def heard_by(self, on_change: Callable[[BreakerState], None]) -> Iterator[None]:
        """Calls it when the state changes by what somebody has tried, not by the time."""
        self._listeners.append(on_change)
        try:
            yield
        finally:
            self._listeners.remove(on_change)

    def state(self, now: float) -> BreakerState:
        if not self._failures:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._opens_until else BreakerState.HALF_OPEN

    def admit(self, now: float) -> Ticket | None:
        """The leave to try, or None: not now."""
        match self.state(now):
            case BreakerState.CLOSED:
                return Ticket(self._opening, is_probe=False)
            case BreakerState.HALF_OPEN if self._probe is None or now >= self._probe_until:
                self._opening += 1  # a probe before this one, if there is one, is old news from now on
                self._probe, self._probe_until = Ticket(self._opening, is_probe=True), now + PROBE_LEASE_S
                return self._probe
            case _:
                return None

    def asks_again_at(self, now: float) -> float | None:
        """When `admit` may give leave by the time alone; None when it would now."""
        if self.state(now) is BreakerState.CLOSED:
            return None
        if now < self._opens_until:
            return self._opens_until
        return None if self._probe is None or now >= self._probe_until else self._probe_until

    def succeeded(self, ticket: Ticket) -> None:
        """The target has answered. A try from before it opened closes nothing: the outage is the later news."""
        if ticket.opening != self._opening or not ticket.is_probe:
            return
        self._failures = 0
        self._probe = None
        self._tell(BreakerState.CLOSED)

    def failed(self, ticket: Ticket, now: float, wish_s: float | None = None) -> None:
        """The target did not answer. Of many tries that fail together the first one opens, and the others add nothing.

        `wish_s` is the target's own wish for the pause.
        """
        if ticket.opening != self._opening:
            return
        self._opening += 1
        self._failures += 1
        self._probe = None
        self._opens_until = now + self.policy.pause(self._failures, wish_s=wish_s, draw=self.draw)
        self._tell(BreakerState.OPEN)

    def returned(self, ticket: Ticket) -> None:
        """The try was not made, or says nothing about the target: the next one may probe at once."""
        if ticket is self._probe:
            self._probe = None
            self._tell(BreakerState.HALF_OPEN)

    def _tell(self, state: BreakerState) -> None:
        for tell in list(self._listeners):
            tell(state)


class Breakers:
    """A process's breakers, by target."""

    def __init__(self) -> None:
        self._breakers: dict[str, Breaker] = {}

    def of(self, target: str) -> Breaker:
        """The one that everybody shares who writes to that target."""
        return self._breakers.setdefault(target, Breaker())
