"""Where a plain sink's worker keeps what its target cannot keep for it: offsets, letters and what waits, in Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mainstem.event import Partition
from mainstem.flow.letter_status import TOPIC, WAITING, LetterStatus, read_status
from mainstem.kafka.compacted import read_compacted
from mainstem.kafka.consumer import GroupConsumer
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.sdk.sink import ParkedKey


@dataclass(frozen=True)
class Kept:
    """What the last commit left behind."""

    starts: Mapping[Partition, int | None]
    """Where each partition goes on; None: nothing was ever committed of it."""
    waiting: Mapping[ParkedKey, Sequence[str]]
    """The event ids that wait, by key, oldest first, of these partitions' records."""


class Ledger(Protocol):
    """Offsets and records, committed together or not at all."""

    async def restore(self, partitions: Collection[Partition]) -> Kept:
        """Raises Unreachable."""

    async def commit(self, records: Sequence[Record], offsets: Mapping[Partition, int]) -> None:
        """Raises Fenced when the partitions are another's. After Unreachable nobody knows whether it was done."""

    async def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, int | None]:
        """The next offsets of the last commit; waits for one that is just ending. Raises Unreachable."""


class KafkaLedger:
    """One transaction of a worker's own producer, which also commits the group's offsets: so the group fences."""

    def __init__(
        self, config: Mapping[str, Any], dlq: str, producer: TransactionalProducer, consumer: GroupConsumer
    ) -> None:
        self._config = config
        self._dlq = dlq
        self._producer = producer
        self._consumer = consumer

    async def restore(self, partitions: Collection[Partition]) -> Kept:
        await self._producer.renew()
        # Offsets first: asking for them waits for a predecessor's transaction that is just ending, and what it says of
        # letters is read after that. The other way round its offsets could count, and its letters not.
        starts = await self._consumer.committed(partitions)
        values = (await asyncio.to_thread(read_compacted, self._config, TOPIC)).values()
        return Kept(starts, waiting_of(self._dlq, map(read_status, values), partitions))

    async def commit(self, records: Sequence[Record], offsets: Mapping[Partition, int]) -> None:
        await self._producer.commit(records, offsets, await self._consumer.group_metadata(offsets))

    async def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, int | None]:
        await self._producer.renew()  # a commit that is on its way still is settled after that
        return await self._consumer.committed(partitions)


def waiting_of(
    dlq: str, statuses: Iterable[LetterStatus], partitions: Collection[Partition]
) -> dict[ParkedKey, list[str]]:
    """The event ids that wait, by key, oldest first, of the records that stood in these partitions."""
    found: dict[ParkedKey, list[tuple[int, str]]] = {}
    for status in statuses:
        if status.dlq == dlq and status.state == WAITING and status.scope is not None:
            topic, number, offset = status.origin.rsplit(":", 2)
            if Partition(topic, int(number)) in partitions:
                key = ParkedKey(topic, bytes.fromhex(status.scope))
                found.setdefault(key, []).append((int(offset), status.event_id))
    return {key: [event_id for _, event_id in sorted(line)] for key, line in found.items()}
