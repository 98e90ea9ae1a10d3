"""Brings what was fetched to the agents: record by record, or as whole batches to those who take them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from faust.types import TP, ConsumerMessage

from mainstem.process.librdkafka.account import Account
from mainstem.process.librdkafka.fetching import Fetched, FetchThread, Message
from mainstem.process.librdkafka.observing import Observer

IDLE_S = 0.5
YIELD_EVERY = 64


class Delivery:
    """See the module. It waits where an epoch has no room, and stops in the middle of a batch whose generation ends."""

    def __init__(
        self, app: Any, fetching: FetchThread, account: Account, callback: Callable[[ConsumerMessage], Awaitable[None]]
    ) -> None:
        self._app = app
        self._fetching = fetching
        self._account = account
        self._flights = account.flights
        self._commits = account.commits
        self._observer: Observer = app.engine.observer
        self._tell = account.tell
        self._callback = callback
        self._arrival = asyncio.Event()
        self._takes_batches: dict[TP, bool] = {}

    def arrived(self) -> None:
        self._arrival.set()

    def forget_readers(self) -> None:
        """Others may read the partitions from now on."""
        self._takes_batches.clear()

    async def run(self, is_stopped: Callable[[], bool], may_flow: Callable[[], Awaitable[None]]) -> None:
        """Until it is stopped. `may_flow` waits while Faust lets nothing through."""
        while not is_stopped():
            fetched = self._fetching.take()
            if fetched is None:
                self._arrival.clear()
                try:
                    async with asyncio.timeout(IDLE_S):
                        await self._arrival.wait()
                except TimeoutError:
                    pass
                continue
            try:
                await self._deliver(fetched, may_flow)
            finally:
                self._fetching.done(fetched)

    async def _deliver(self, fetched: Fetched, may_flow: Callable[[], Awaitable[None]]) -> None:
        generation, tp, records, _ = fetched
        self._tell(self._observer.fetched, tp, len(records))
        if tp.topic in self._app._reply_consumer._fetchers:
            await self._deliver_replies(tp, records)
            return
        at = 0
        while at < len(records):
            await self._has_room()
            await may_flow()
            if generation != self._flights.generation or tp not in self._flights:
                return
            portion = records[at : at + self._commits.room]
            if not portion:
                continue
            at += len(portion)
            self._tell(self._observer.delivered, tp, len(portion))
            if self._is_batched(tp):
                await self._deliver_batch(tp, portion)
            else:
                await self._deliver_each(tp, portion, generation)

    async def _deliver_batch(self, tp: TP, records: Sequence[Message]) -> None:
        message = self._message(tp, records[0], None, records)
        await self._hand_over(message, records[-1].offset() + 1)

    async def _deliver_each(self, tp: TP, records: Sequence[Message], generation: int) -> None:
        account, commits, flights = self._account, self._commits, self._flights
        for count, record in enumerate(records, 1):
            if not count % YIELD_EVERY:
                await asyncio.sleep(0)
            if not commits.room or account.is_full:
                await self._has_room()
            if generation != flights.generation:
                return
            message = self._message(tp, record, record.key(), record.value())
            if account.blame and (error := account.blame.poison(tp, message.offset)) is not None:
                account.delivered(message, message.offset + 1)
                account.dead_letter(tp, message.offset, message.key, message.value, error)
                account.ack(message)
                continue
            await self._hand_over(message, message.offset + 1)

    async def _deliver_replies(self, tp: TP, records: Sequence[Message]) -> None:
        """A process's own reply topic has a channel that nobody reads besides, so its events are never finished: they
        stay out of the account."""
        for record in records:
            message = self._message(tp, record, record.key(), record.value())
            message.acked = message.tracked = True
            await self._callback(message)

    async def _has_room(self) -> None:
        """Waits until the epoch and the agents can take more."""
        while True:
            await self._commits.has_room()
            if not self._account.is_full:
                return
            await self._account.eased()

    async def _hand_over(self, message: ConsumerMessage, after: int) -> None:
        self._account.delivered(message, after)
        await self._callback(message)
        if not message.refcount and not message.acked:  # nobody reads it, or it could not be decoded
            self._account.ack(message)

    def _message(self, tp: TP, record: Message, key: Any, value: Any) -> ConsumerMessage:
        kind, stamp_ms = record.timestamp()
        headers = record.headers()
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.offset(),
            stamp_ms / 1000.0,
            kind,
            dict(headers) if headers else {},
            key,
            value,
            None,
            tp=tp,
            generation_id=self._flights.generation,
        )

    def _is_batched(self, tp: TP) -> bool:
        """Whether all who read the partition take whole batches."""
        known = self._takes_batches.get(tp)
        if known is None:
            schemas = [channel.schema for channel in self._app.topics._tp_index.get(tp) or ()]
            known = bool(schemas) and all(getattr(schema, "takes_batches", False) for schema in schemas)
            self._takes_batches[tp] = known
            # With a second reader, one's outputs could be committed without the other's, and without the offset.
            is_deferred = len(schemas) == 1 and getattr(schemas[0], "is_deferred", False)
            (self._flights.deferred.add if is_deferred else self._flights.deferred.discard)(tp)
        return known
