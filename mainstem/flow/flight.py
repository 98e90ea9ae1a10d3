"""How a plain sink is written to, and the records of one write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mainstem.flow.item import Item, OnFailure
from mainstem.flow.quota import Quota
from mainstem.flow.retry import RetryPolicy
from mainstem.flow.turns import Entry, Lane
from mainstem.sdk.sink import Mapped

WINDOW_BYTES = 16 << 20
"""Of undecoded records: as Python's objects they take about ten times as much."""


@dataclass(frozen=True)
class LaneRules:
    """How one sink is written to."""

    part: str
    on_failure: OnFailure = OnFailure.PARK
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    per_write: int = 5_000
    """Records of one write."""
    window_records: int = 10_000
    """Live records on their way and not durable, and as many redriven ones: a crash repeats no more."""
    window_bytes: int = WINDOW_BYTES
    max_parked_keys: int | None = None
    probe_s: float = 10.0
    """How often the record that is one key too many is tried again."""

    def quota(self) -> Quota:
        return Quota(self.window_records, self.window_bytes)


@dataclass(frozen=True, slots=True)
class Flight:
    """Records that are written together, in order."""

    entries: Sequence[Entry]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def items(self) -> list[Item]:
        return [entry.item for entry in self.entries]

    @property
    def records(self) -> list[Mapped]:
        """For the sink's `write`."""
        return [item.outcome for item in self.items if isinstance(item.outcome, Mapped)]

    @property
    def lanes(self) -> Sequence[Lane]:
        """Each once, in order."""
        return list(dict.fromkeys(entry.lane for entry in self.entries))


def take_run(lane: Lane, taken: list[Entry], room: int) -> None:
    """The lane's head and, if it is live, the live ones behind it, as far as they may be written with the others."""
    head = lane.queue.popleft()
    taken.append(head)
    while len(taken) < room and not head.item.is_redriven and lane.queue:
        following = lane.queue[0]
        if following.item.is_redriven or not isinstance(following.item.outcome, Mapped) or following.most < room:
            return
        taken.append(lane.queue.popleft())
