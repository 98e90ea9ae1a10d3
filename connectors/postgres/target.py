"""The target for one worker: what the runtime calls, in front of the sessions' threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeVar

from connectors.postgres.lane import Lane
from connectors.postgres.table import Connection
from connectors.postgres.transaction import PostgresTransaction
from mainstem import Claim, Letter, ParkedKey, Partition, Transaction, Undecoded

T = TypeVar("T")


class Ahead:
    """A batch that is being brought, or was, in a transaction of its own that has touched nothing that others see."""

    def __init__(self, batch: Undecoded, lane: Lane) -> None:
        self.batch = batch
        self.transaction = PostgresTransaction(lane)
        self._since = monotonic()

    def is_fresh(self, idle_s: float) -> bool:
        """Whether the database has certainly not ended its session for having done nothing."""
        return monotonic() - self._since < idle_s / 2


class PostgresTarget:
    """One thing at a time: what is called while a transaction is open waits for its end. Only the bringing of the next
    batch, which touches nothing that others see, goes on beside it, on the other of two lanes."""

    def __init__(self, lanes: tuple[Lane, Lane], *, idle_s: float) -> None:
        """The database ends a session that holds a transaction open and does nothing for `idle_s`."""
        self._lanes = lanes
        self._free = list(lanes)
        self._idle_s = idle_s
        self._ahead: Ahead | None = None
        self._turn = asyncio.Lock()
        self._owner: asyncio.Task[object] | None = None

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        return await self._alone(lambda lane, connection: lane.control.take_over(connection, partitions))

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        return await self._alone(lambda lane, connection: lane.control.parked(connection, topics))

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        return await self._alone(lambda lane, connection: lane.control.letters(connection, partition, after))

    async def forget_letters(self, partition: Partition, through: int) -> None:
        await self._alone(lambda lane, connection: lane.control.forget_letters(connection, partition, through))

    async def stage(self, batch: Undecoded) -> None:
        await self._forget_ahead()
        if not self._free:
            return
        self._ahead = ahead = Ahead(batch, self._free.pop())
        try:
            await ahead.transaction.stage(batch)
        except BaseException:
            if self._ahead is ahead:
                await self._forget_ahead()
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._begun(None) as transaction:
            yield transaction

    @asynccontextmanager
    async def staged(self, batch: Undecoded) -> AsyncIterator[PostgresTransaction]:
        async with self._begun(batch) as transaction:
            yield transaction

    async def close(self) -> None:
        await asyncio.gather(*(lane.session.close() for lane in self._lanes))

    @asynccontextmanager
    async def _begun(self, batch: Undecoded | None) -> AsyncIterator[PostgresTransaction]:
        self._refuse_nesting()
        async with self._turn:
            transaction = await self._taken(batch) or PostgresTransaction(self._free.pop())
            self._owner = asyncio.current_task()
            try:
                yield transaction
            finally:
                self._owner = None
                await self._leave(transaction)

    async def _taken(self, batch: Undecoded | None) -> PostgresTransaction | None:
        """The transaction in which it was staged, which is its taker's from now on."""
        ahead = self._ahead
        if ahead is None or ahead.batch is not batch:
            return None
        if not ahead.is_fresh(self._idle_s):
            await self._forget_ahead()
            return None
        self._ahead = None
        return ahead.transaction

    async def _forget_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            await self._leave(ahead.transaction)

    async def _leave(self, transaction: PostgresTransaction) -> None:
        try:
            await transaction.leave()
        finally:
            self._free.append(transaction.lane)

    async def _alone(self, work: Callable[[Lane, Connection], T]) -> T:
        self._refuse_nesting()
        async with self._turn:
            lane = self._free.pop()
            try:
                return await lane.session.call(lambda connection: _in_transaction(connection, lane, work))
            finally:
                self._free.append(lane)

    def _refuse_nesting(self) -> None:
        if self._owner is not None and self._owner is asyncio.current_task():
            raise RuntimeError("leave the transaction first: inside it this call would wait for itself")


def _in_transaction(connection: Connection, lane: Lane, work: Callable[[Lane, Connection], T]) -> T:
    with connection.transaction():
        return work(lane, connection)
