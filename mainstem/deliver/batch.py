"""What was fetched at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import methodcaller

from mainstem.codec.message import Message
from mainstem.event import Partition
from mainstem.flow.item import Item
from mainstem.sdk.sink import ParkedKey
from mainstem.sdk.undecoded import Undecoded

NEVER = 1 << 63
"""An offset that no record has, and a generation that none is fetched in."""

_topic, _partition, _key = methodcaller("topic"), methodcaller("partition"), methodcaller("key")


class FetchedBatch:
    """A batch by partition. What is made of it is made while the batch before it is written."""

    def __init__(self, messages: Sequence[Message], generation: int) -> None:
        self.generation = generation
        self.refusals = 0
        """How often the target has asked to try its records again."""
        self.undecoded: Undecoded | None = None
        """Its rows as a whole, where that is all that the target needs."""
        self.items: Sequence[Item] | None = None
        """Its records one by one."""
        self.messages: dict[Partition, list[Message]] = {}
        for partition, part in _runs(messages):
            self.messages.setdefault(partition, []).extend(part)

    def all(self) -> list[Message]:
        """Partition by partition, each in its order."""
        return [message for group in self.messages.values() for message in group]

    def begin(self, partition: Partition) -> int:
        """The offset of its first record here."""
        return self.messages[partition][0].offset() or 0

    def end(self, partition: Partition) -> int:
        """The offset after its last record here."""
        return (self.messages[partition][-1].offset() or 0) + 1

    def is_whole(self, starts: Mapping[Partition, int]) -> bool:
        """Whether every record is due, given the offsets at which their partitions go on."""
        return all(self.begin(partition) >= starts.get(partition, NEVER) for partition in self.messages)

    def ends(self, starts: Mapping[Partition, int]) -> dict[Partition, int]:
        """The next offsets after what is due."""
        ends = {partition: self.end(partition) for partition in starts}
        return {partition: end for partition, end in ends.items() if end > starts[partition]}

    def is_apart_from(self, parked: Collection[ParkedKey]) -> bool:
        """Whether no record can belong behind one that waits: one without a key may, by its event's id."""
        if not parked:
            return True
        places = {(partition.topic, key) for partition, group in self.messages.items() for key in map(_key, group)}
        return all(key is not None for _, key in places) and places.isdisjoint(parked)


def _runs(messages: Sequence[Message]) -> Iterator[tuple[Partition, Sequence[Message]]]:
    """Neighbours of one partition: Kafka's client hands a partition's records out in rows of hundreds."""
    at = 0
    for place, run in groupby(zip(map(_topic, messages), map(_partition, messages), strict=True)):
        count = len(list(run))
        yield Partition(*place), messages[at : at + count]
        at += count
