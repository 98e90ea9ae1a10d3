"""Ships the letters that a target keeps to Kafka, each exactly once.

A letter's place in line is the offset of the record that it came from, which is ordered within a partition and
guarded by its epoch. One Kafka transaction holds a partition's letters and the last one's offset; a successor reads
that position after its `transactional.id` has fenced the one before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

import orjson

from mainstem.event import Partition
from mainstem.kafka.positions import POSITIONS, read_position
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.sdk.sink import Letter, Target

BEFORE_ALL = -1


class Outbox:
    """The letters of one sink's worker. Use as a context manager."""

    def __init__(
        self, config: Mapping[str, Any], name: str, target: Target, topic_id: Callable[[str], str | None]
    ) -> None:
        self._config = config
        self._name = name
        self._target = target
        self._topic_id = topic_id
        self._shippers: dict[Partition, tuple[TransactionalProducer, AsyncExitStack]] = {}
        self._shipped: dict[Partition, int] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave(list(self._shippers))

    async def ship(self, partition: Partition) -> int:
        """Ships whatever the target still keeps of the partition, and gives the number of letters.

        Raises Unreachable or Fenced; calling it again is always safe.
        """
        if not await self._target.letters(partition, self._shipped.get(partition, BEFORE_ALL)):
            return 0
        shipper = await self._shipper(partition)
        letters = await self._target.letters(partition, self._shipped[partition])
        if letters:
            await self._send(shipper, partition, letters)
        await self._target.forget_letters(partition, self._shipped[partition])
        return len(letters)

    async def leave(self, partitions: Sequence[Partition]) -> None:
        """Closes the producers of partitions that are not ours any more."""
        for partition in partitions:
            self._shipped.pop(partition, None)
            if partition in self._shippers:
                _, stack = self._shippers.pop(partition)
                await stack.aclose()

    async def _send(self, shipper: TransactionalProducer, partition: Partition, letters: Sequence[Letter]) -> None:
        last = letters[-1].offset
        records = [Record(letter.topic, letter.key, letter.value, letter.headers) for letter in letters]
        value = orjson.dumps({"offset": last, "topic_id": self._topic_id(partition.topic)})
        try:
            await shipper.commit([*records, Record(POSITIONS, self._key(partition).encode(), value)])
        except BaseException:
            # The outcome may be unknown: the next attempt begins with a new producer and reads the position anew.
            await self.leave([partition])
            raise
        self._shipped[partition] = last

    async def _shipper(self, partition: Partition) -> TransactionalProducer:
        if partition not in self._shippers:
            stack = AsyncExitStack()
            producer = TransactionalProducer(self._config, f"mainstem.outbox.{self._key(partition)}")
            shipper = await stack.enter_async_context(producer)
            self._shippers[partition] = (shipper, stack)
            self._shipped[partition] = await self._position(partition)
        return self._shippers[partition][0]

    async def _position(self, partition: Partition) -> int:
        said = await asyncio.to_thread(read_position, self._config, self._key(partition))
        if said is None or said.get("topic_id") != self._topic_id(partition.topic):
            return BEFORE_ALL
        return int(said["offset"])

    def _key(self, partition: Partition) -> str:
        return f"{self._name}.letters.{partition.topic}.{partition.number}"
