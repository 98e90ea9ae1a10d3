"""A replay's plan: what it means whenever it runs, and what was counted when it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mainstem.recover.replay.choice import Choice
from mainstem.recover.replay.ranges import Extent, Hole, Range


@dataclass(frozen=True, slots=True)
class IntoFile:
    """A file instead of the sink's target."""

    path: str
    """Absolute: the plan may be run from another folder."""
    reveal: bool = False
    """Personal fields are written unmasked."""


@dataclass(frozen=True)
class ReplayPlan:
    """A frozen replay: whenever it runs, it means the same records."""

    sink: str
    """`payments-to-accounting.journal`."""
    ranges: tuple[Range, ...]
    """With the records of each that are chosen."""
    extent_since: datetime | None
    extent_until: datetime | None
    by_event_time: bool
    topic_ids: Mapping[str, str]
    """Kafka's ids of the topics: one that was deleted and made again holds other records at the same offsets."""
    holes: tuple[Hole, ...]
    keys: int
    keys_are_more: bool
    """Counting stopped at a limit: there are more keys than `keys`."""
    waiting: int
    """Records in the ranges that wait in the dead-letter topic: a replay does not release them."""
    records_s: float | None
    effect: str
    choice: Choice = field(default_factory=Choice)
    schemas: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints of the topics' schemas that the choice was made by."""
    undecided: int = 0
    """Records that do not decode, so that it cannot be told whether they are chosen: they are not."""
    into: IntoFile | None = None

    @property
    def records(self) -> int:
        return sum(part.records for part in self.ranges)

    @property
    def minutes(self) -> float | None:
        """How long it takes at its rate, if the target keeps up; None where it goes as fast as the target takes it."""
        return None if self.records_s is None else self.records / self.records_s / 60

    @property
    def extent(self) -> Extent:
        """The times that decide record by record, where they are those of the events."""
        return Extent(self.extent_since, self.extent_until, by_event_time=self.by_event_time)

    @property
    def hash(self) -> str:
        """Stands for exactly these records into this target."""
        said = [self.sink]
        if self.by_event_time:
            said += [str(self.extent_since), str(self.extent_until)]
        said += [f"{r.topic} {r.partition} {r.start} {r.end} {self.topic_ids.get(r.topic)}" for r in self.ranges]
        if not self.choice.is_everything:
            said += [
                repr(sorted(self.choice.keys)),
                repr(sorted(self.choice.where)),
                repr(sorted(self.schemas.items())),
            ]
        if self.into is not None:
            said.append(repr(self.into))
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
