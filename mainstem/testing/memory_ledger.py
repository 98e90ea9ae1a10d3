"""Kafka as a plain sink's ledger, in memory: what is committed outlives the workers that share it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mainstem.deliver.ledger import Kept, waiting_of
from mainstem.errors import Fenced, Unreachable
from mainstem.event import Partition
from mainstem.flow.letter_status import TOPIC, LetterStatus, read_status
from mainstem.kafka.record import Record


class MemoryLedger:
    """The group's offsets, and everything that was written beside them, in order."""

    def __init__(self, dlq: str) -> None:
        self._dlq = dlq
        self.offsets: dict[Partition, int] = {}
        self.records: list[Record] = []
        self.commits = 0
        self.is_reachable = True
        self.lose_next_answer = False
        """The next commit is done, but nobody is told (Unreachable)."""
        self.owner: object = None
        """Whoever restored last: the others are fenced."""

    def member(self) -> Member:
        """One worker's side of it."""
        return Member(self)

    def letters(self) -> list[Record]:
        """The dead letters, in order."""
        return [record for record in self.records if record.topic == self._dlq]

    def statuses(self) -> dict[str, str]:
        """The last state of each letter, by event id."""
        return {status.event_id: status.state for status in self.latest()}

    def latest(self) -> Collection[LetterStatus]:
        """The last status of each letter."""
        latest = {record.key: record.value or b"" for record in self.records if record.topic == TOPIC}
        return [read_status(value) for value in latest.values()]

    def waiting(self) -> Mapping[str, str]:
        """The letters that wait."""
        return {event_id: state for event_id, state in self.statuses().items() if state == "waiting"}

    def answer(self) -> None:
        """Raises Unreachable while nobody can reach it."""
        if not self.is_reachable:
            raise Unreachable("the memory ledger is down")

    def kept(self, partitions: Collection[Partition]) -> Kept:
        """What a worker begins with."""
        starts = {partition: self.offsets.get(partition) for partition in partitions}
        return Kept(starts, waiting_of(self._dlq, self.latest(), partitions))

    def keep(self, records: Sequence[Record], offsets: Mapping[Partition, int]) -> None:
        """All of it, or an error and nothing; unless the answer is lost."""
        self.answer()
        self.records += records
        self.offsets |= offsets
        self.commits += 1
        if self.lose_next_answer:
            self.lose_next_answer = False
            raise Unreachable("the answer to the commit was lost")


class Member:
    """A Ledger."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    async def restore(self, partitions: Collection[Partition]) -> Kept:
        self._ledger.answer()
        self._ledger.owner = self
        return self._ledger.kept(partitions)

    async def commit(self, records: Sequence[Record], offsets: Mapping[Partition, int]) -> None:
        if self._ledger.owner is not self:
            raise Fenced("another member has the partitions", partitions=offsets)
        self._ledger.keep(records, offsets)

    async def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, int | None]:
        self._ledger.answer()
        return {partition: self._ledger.offsets.get(partition) for partition in partitions}
