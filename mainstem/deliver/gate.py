"""Whether a sink may try now: its target has to answer, and the sink must not be paused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mainstem.errors import Unreachable
from mainstem.flow.breaker import Breaker, BreakerState, Ticket
from mainstem.flow.retry import RetryPolicy


def _constant(_low: float, high: float) -> float:
    return high


class Pass(NamedTuple):
    """The leave to write once. Give it back by `used` or `unused`."""

    target: Ticket
    pause: Ticket

    @property
    def is_probe(self) -> bool:
        """One record only: nobody knows whether it will work."""
        return self.target.is_probe or self.pause.is_probe


@dataclass
class Gate:
    """One worker's. The target's breaker may be shared; a pause is the sink's own, for what a person has to mend."""

    target: Breaker
    probe_s: float
    """How often a paused sink tries again."""
    _pause: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self._pause = Breaker(RetryPolicy(first_s=self.probe_s, max_s=self.probe_s), _constant)

    @property
    def is_paused(self) -> bool:
        return self._pause.state(float("inf")) is not BreakerState.CLOSED

    @property
    def is_silent(self) -> bool:
        """Whether the target did not answer when it was tried last."""
        return self.target.state(float("inf")) is not BreakerState.CLOSED

    def enter(self, now: float) -> Pass | None:
        """None: not now."""
        pause = self._pause.admit(now)
        if pause is None:
            return None
        target = self.target.admit(now)
        if target is None:
            self._pause.returned(pause)
            return None
        return Pass(target, pause)

    def asks_again_at(self, now: float) -> float | None:
        """When `enter` may give leave by the time alone; None when it would now."""
        times = [self.target.asks_again_at(now), self._pause.asks_again_at(now)]
        return max((time for time in times if time is not None), default=None)

    def answered(self, leave: Pass) -> None:
        """The target has answered, be it with a refusal."""
        self.target.succeeded(leave.target)
        self._pause.succeeded(leave.pause)

    def silent(self, leave: Pass, error: Unreachable, now: float) -> None:
        """The target did not answer."""
        self.target.failed(leave.target, now, error.after_s)
        self._pause.returned(leave.pause)

    def pause(self, leave: Pass, now: float) -> None:
        """A person has to change something."""
        self.target.returned(leave.target)
        self._pause.failed(leave.pause, now)

    def unused(self, leave: Pass) -> None:
        """Nothing was tried, or nothing is known of it."""
        self.target.returned(leave.target)
        self._pause.returned(leave.pause)
