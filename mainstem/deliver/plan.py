"""What one sink's worker is to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mainstem.event import Event
from mainstem.flow.item import OnFailure
from mainstem.flow.retry import RetryPolicy
from mainstem.sdk.sink import Row

Mapping = Callable[[Event], Sequence[Row]]


@dataclass(frozen=True)
class SinkPlan:
    """One sink of one integration: where its records come from, how they are mapped, what happens on failure."""

    integration: str
    sink: str
    topics: Sequence[str]
    group: str
    dlq: str | None
    """None for a replay: what is refused is reported, for it still stands in its own topic."""
    redrive: str | None
    """None for a worker that takes no redriven records: a replay."""
    mapping: Mapping
    on_failure: OnFailure = OnFailure.PARK
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    batch_events: int = 5000
    max_parked_keys: int | None = None
    """More than so many are not parked: the sink pauses. None: there is no end to it."""
    is_outdated: Callable[[], bool] = bool
    """Whether its settings are others now. A paused worker asks, and then ends to be built anew. Blocks; may raise."""

    @property
    def part(self) -> str:
        """The name under which it is seen: `payments-to-accounting.journal`."""
        return f"{self.integration}.{self.sink}"

    @property
    def subscribed(self) -> list[str]:
        return [*self.topics, *([self.redrive] if self.redrive else [])]
