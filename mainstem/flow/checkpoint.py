"""What a worker may commit together: everything that is finished, over all of its partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mainstem.event import Partition
from mainstem.flow.ahead_note import SPAN, read_note, write_note
from mainstem.flow.dead_letter import Failure
from mainstem.flow.item import Item
from mainstem.flow.lines import Verdict
from mainstem.flow.settlement import Outcomes
from mainstem.flow.watermark import Watermark
from mainstem.kafka.position import Position, note_of


class Finished(NamedTuple):
    """One record's end."""

    item: Item
    verdict: Verdict
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one transaction is to make durable."""

    offsets: Mapping[Partition, Position]
    """The next offsets; each notes which records beyond it are done."""
    outcomes: Outcomes
    """Of all records that are finished and not durable yet, of each partition in order."""
    records: Mapping[Partition, Sequence[int]]
    """Their offsets."""


class Checkpoints:
    """The partitions' watermarks. `starts` are the offsets where they begin, with their predecessors' notes."""

    def __init__(self, starts: Mapping[Partition, int]) -> None:
        self._marks: dict[Partition, Watermark[Finished]] = {
            partition: Watermark(at, read_note(at, note_of(at))) for partition, at in starts.items()
        }
        self._durable = {partition: Position(at, note_of(at)) for partition, at in starts.items()}
        self.finished = 0
        """Records that have come to their end, in all."""

    def begin(self, item: Item) -> bool:
        """False for a record of a partition that is not ours, and for one that has begun before or is done."""
        mark = self._marks.get(item.partition)
        return mark is not None and mark.begin(item.offset)

    def finish(self, item: Item, verdict: Verdict, failure: Failure | None = None) -> None:
        self.finished += 1
        self._marks[item.partition].finish(item.offset, Finished(item, verdict, failure))

    @property
    def durable(self) -> Mapping[Partition, Position]:
        """The next offsets of what is durable."""
        return self._durable

    def next_to_begin(self, partition: Partition) -> int:
        return self._marks[partition].next_to_begin

    def latest(self) -> Checkpoint | None:
        """None when nothing new is finished."""
        offsets: dict[Partition, Position] = {}
        records: dict[Partition, list[int]] = {}
        outcomes = Outcomes()
        for partition, mark in self._marks.items():
            before = mark.position + SPAN
            finished = mark.finished(before)
            if finished or mark.position > self._durable[partition]:
                offsets[partition] = Position(mark.position, write_note(mark.position, mark.ahead(before)))
                records[partition] = [offset for offset, _ in finished]
                for _, end in finished:
                    outcomes.note(*end)
        return Checkpoint(offsets, outcomes, records) if offsets else None

    def keep(self, checkpoint: Checkpoint) -> Iterator[Finished]:
        """It is durable. Gives the records of it, which are not kept here any longer."""
        self._durable |= checkpoint.offsets
        for partition, offsets in checkpoint.records.items():
            yield from map(self._marks[partition].keep, offsets)
