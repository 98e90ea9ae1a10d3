"""A target for a plain sink: the sink's own `write`, with offsets, parked keys and letters kept in memory beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from mainstem.sdk.sink import Mapped, ParkedKey, Progress, SinkIdentity, Transaction, Write
from mainstem.testing.memory_target import MemorySink, MemoryStore, MemoryTarget


class PlainTarget(MemoryTarget):
    """What `write` has done cannot be taken back, as with the real one: at least once."""

    def __init__(self, write: Write, store: MemoryStore, identity: SinkIdentity) -> None:
        super().__init__(MemorySink(store=store), identity)
        self._write = write

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as settling:
            yield _PlainTransaction(settling, self._write)


class _PlainTransaction:
    def __init__(self, settling: Transaction, write: Write) -> None:
        self._settling = settling
        self._write = write

    async def waiting(self, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        return await self._settling.waiting(keys)

    async def write(self, records: Sequence[Mapped]) -> None:
        await self._write(records)

    async def commit(self, progress: Progress) -> None:
        await self._settling.commit(progress)
