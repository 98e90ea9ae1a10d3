"""The target of a plain sink where nobody keeps offsets: a replay's own job record says how far it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from mainstem.event import Partition
from mainstem.sdk.sink import Claim, Letter, Mapped, ParkedKey, Progress, Write


class DirectTarget:
    """A Target that writes and settles nothing besides."""

    def __init__(self, write: Write) -> None:
        self._write = write

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        return [Claim(partition, 0, None) for partition in partitions]

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        return ()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DirectTarget]:
        yield self

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        return ()

    async def forget_letters(self, partition: Partition, through: int) -> None:
        """There are none."""

    async def waiting(self, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        return {}

    async def write(self, records: Sequence[Mapped]) -> None:
        await self._write(records)

    async def commit(self, progress: Progress) -> None:
        """What was written is written."""
