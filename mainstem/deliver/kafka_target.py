"""The target of a sink that keeps no offsets itself: Kafka keeps them, dead letters and parked keys, in one go.

What `write` has done cannot be taken back, so a crash before `commit` repeats it: at-least-once, which an idempotent
target makes once by the event's id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mainstem.errors import Fenced
from mainstem.event import Partition
from mainstem.flow.letter_status import TOPIC, WAITING, LetterStatus, read_status
from mainstem.kafka.compacted import read_compacted
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.sdk.sink import Claim, Letter, Mapped, ParkedKey, Progress, Write

GroupMetadata = Callable[[], Awaitable[Any]]
Committed = Callable[[Collection[Partition]], Awaitable[Mapping[Partition, int | None]]]


@dataclass(frozen=True)
class Group:
    """What a target needs of the consumer whose offsets it commits; both are asked anew each time."""

    metadata: GroupMetadata
    committed: Committed


class KafkaTarget:
    """A Target over a plain sink's `write`."""

    def __init__(
        self,
        config: Mapping[str, Any],
        dlq: str,
        write: Write,
        producer: TransactionalProducer,
        group: Group,
    ) -> None:
        self._config = config
        self._dlq = dlq
        self.write = write
        self.producer = producer
        self.group = group
        self.waiting_ids: dict[ParkedKey, list[str]] = {}

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        """The group's committed offsets are where to go on; the group itself fences who was there before."""
        self.waiting_ids = await asyncio.to_thread(self._read_waiting)
        committed = await self.group.committed(partitions)
        return [Claim(partition, 0, committed[partition]) for partition in partitions]

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        return [key for key in self.waiting_ids if key.topic in topics]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[KafkaTransaction]:
        yield KafkaTransaction(self)

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        """None: they went to Kafka in the transaction that made them."""
        return ()

    async def forget_letters(self, partition: Partition, through: int) -> None:
        """There are none to forget."""

    def _read_waiting(self) -> dict[ParkedKey, list[str]]:
        latest = [read_status(value) for value in read_compacted(self._config, TOPIC).values()]
        waiting = [s for s in latest if s.dlq == self._dlq and s.state == WAITING and s.scope is not None]
        found: dict[ParkedKey, list[str]] = {}
        for status in sorted(waiting, key=_place):
            key = ParkedKey(_topic(status), bytes.fromhex(status.scope or ""))
            found.setdefault(key, []).append(status.event_id)
        return found


class KafkaTransaction:
    """One batch: written to the sink at once, then settled in Kafka."""

    def __init__(self, target: KafkaTarget) -> None:
        self._target = target

    async def waiting(self, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        return {key: list(self._target.waiting_ids.get(key, ())) for key in keys}

    async def write(self, records: Sequence[Mapped]) -> None:
        await self._target.write(records)

    async def commit(self, progress: Progress) -> None:
        records = [Record(letter.topic, letter.key, letter.value, letter.headers) for letter in progress.letters]
        offsets = {advance.claim.partition: advance.next_offset for advance in progress.advances}
        try:
            await self._target.producer.commit(records, offsets, await self._target.group.metadata())
        except Fenced as error:
            raise Fenced(error.cause, partitions=offsets) from error
        for key, event_id in progress.parked:
            self._target.waiting_ids.setdefault(key, []).append(event_id)
        for key, event_id in progress.released:
            self._target.waiting_ids[key].remove(event_id)
            if not self._target.waiting_ids[key]:
                del self._target.waiting_ids[key]


def _place(status: LetterStatus) -> tuple[str, int, int]:
    topic, partition, offset = status.origin.rsplit(":", 2)
    return topic, int(partition), int(offset)


def _topic(status: LetterStatus) -> str:
    return status.origin.rsplit(":", 2)[0]
