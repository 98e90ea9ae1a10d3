"""Makes a replay's plan: freezes the ranges, counts what is in them. Blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mainstem.codec.message import Message
from mainstem.errors import Misconfigured
from mainstem.event import Partition
from mainstem.flow.letter_status import WAITING
from mainstem.kafka.reader import Reader, reading
from mainstem.kafka.topics import Admin
from mainstem.recover.letters import parse_origin, read_statuses
from mainstem.recover.replay.choice import Choice, Chooser, Sight, fingerprints
from mainstem.recover.replay.frozen import IntoFile, ReplayPlan
from mainstem.recover.replay.ranges import Bounds, Extent, Range, freeze

COUNTED_KEYS: Final = 1_000_000
"""Counting keys stops there: about 100 MB, and nobody decides differently beyond it."""


@dataclass(frozen=True)
class Request:
    """What is to be replayed into which sink."""

    sink: str
    """`payments-to-accounting.journal`."""
    dlq: str
    topics: Sequence[str]
    extent: Extent
    effect: str
    """What the target's guarantee makes of it."""
    records_s: float | None = None
    choice: Choice = field(default_factory=Choice)
    into: IntoFile | None = None


def plan(config: Mapping[str, Any], request: Request, sight: Sight | None = None) -> ReplayPlan:
    """Reads every record of the ranges once; decodes it, by `sight`, only where a predicate wants to look into it.

    Raises Misconfigured for a topic or partition that there is not, or that is not the sink's, and for a predicate that
    does not fit a topic's schema; Unreachable.
    """
    extent, choice = request.extent, request.choice
    topic_ids = Admin(config).topic_ids(
        request.topics
    )  # first: what is made anew meanwhile is then not the planned one
    with reading(config) as reader:
        bounds = reader.whole(request.topics)
        _check_partitions(request, bounds)
        ranges, holes = freeze(bounds, extent, _offsets_of_times(reader, request, bounds))
        topics = sorted({partition.topic for partition in (*extent.first, *extent.last)} or request.topics)
        chooser = Chooser(extent, choice, topics, sight)
        count = _Count(chooser)
        for messages in reader.read({part.of: (part.start, part.end) for part in ranges}):
            count.add(messages)
    return ReplayPlan(
        sink=request.sink,
        ranges=tuple(part._replace(records=count.records[part.of]) for part in ranges),
        extent_since=extent.since,
        extent_until=extent.until,
        by_event_time=extent.by_event_time,
        topic_ids={topic: topic_ids[topic] for topic in sorted({part.topic for part in ranges} & topic_ids.keys())},
        holes=tuple(holes),
        keys=len(count.keys),
        keys_are_more=len(count.keys) >= COUNTED_KEYS,
        waiting=_waiting(config, request.dlq, ranges),
        records_s=request.records_s,
        effect=request.effect,
        choice=choice,
        schemas=fingerprints(choice, topics, sight),
        undecided=chooser.undecided,
        into=request.into,
    )


class _Count:
    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser
        self.records: Counter[Partition] = Counter()
        self.keys: set[int] = set()

    def add(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if not self._chooser.takes(message):
                continue
            partition = Partition(message.topic() or "", message.partition() or 0)
            self.records[partition] += 1
            if len(self.keys) < COUNTED_KEYS:
                # A hash: as small for a long key as for a short one, and a collision costs one in a count.
                self.keys.add(hash((partition.topic, message.key() or message.offset())))


def _check_partitions(request: Request, bounds: Bounds) -> None:
    unknown = sorted({*request.extent.first, *request.extent.last} - bounds.keys())
    if unknown:
        raise Misconfigured(
            f"{request.sink} does not read {unknown[0].topic}:{unknown[0].number}",
            fix=f"name a partition of {', '.join(request.topics)}",
        )


def _offsets_of_times(reader: Reader, request: Request, bounds: Bounds) -> Bounds:
    """Nothing where events' own times decide: those need not follow the order of offsets."""
    extent = request.extent
    if extent.by_event_time or (extent.since is None and extent.until is None):
        return {}
    starts = _since(reader, request, extent.since)
    ends = _since(reader, request, extent.until)
    return {p: (starts.get(p, 0), ends.get(p, high)) for p, (_, high) in bounds.items()}


def _since(reader: Reader, request: Request, time: datetime | None) -> Mapping[Partition, int]:
    return {} if time is None else reader.since(request.topics, int(time.timestamp() * 1000))


def _waiting(config: Mapping[str, Any], dlq: str, ranges: Sequence[Range]) -> int:
    spans = {part.of: part for part in ranges}
    origins = [parse_origin(s.origin) for s in read_statuses(config, dlq).values() if s.state == WAITING]
    inside = [o for o in origins if (span := spans.get(Partition(o.topic, o.partition))) is not None
              and span.start <= o.offset < span.end]  # fmt: skip
    return len(inside)
