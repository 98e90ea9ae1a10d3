"""When and how a worker commits: at-least-once watermarks, or exactly-once epochs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

from confluent_kafka import KafkaException
from faust.types import TP

from mainstem.process.librdkafka.epoch import Epoch, Phase, Told
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.options import EngineOptions
from mainstem.process.librdkafka.sending import Producer
from mainstem.process.librdkafka.transaction import ProducerFailed

log = logging.getLogger(__name__)


class Store(Protocol):
    """A table's store, as a commit sees it."""

    @property
    def is_lasting(self) -> bool:
        """It wants to know how far into its changelogs it is, when it keeps changes."""

    def changelogs(self) -> Sequence[TP]: ...
    def has_changes(self) -> bool: ...
    async def close_windows(self) -> None:
        """Those that are over; what that changes and sends is part of the commit."""

    def write_changes(self, write: Any) -> None:
        """To the changelog, once for each changed key."""

    def keep_changes(self, ends: Mapping[TP, int]) -> None:
        """They are committed. `ends`: where changelogs ended while nobody but this worker had written to them."""

    def drop_changes(self) -> None:
        """They are aborted. Drops cached values too: they may have been changed in place."""


class Work(Protocol):
    """What is to be committed; the consumer's side of it."""

    flights: Flights[TP]
    options: EngineOptions

    @property
    def producer(self) -> Producer: ...
    def stores(self) -> Sequence[Store]: ...
    def running(self) -> int:
        """Events that an agent has begun and not finished."""

    def committed(self, offsets: Mapping[TP, int]) -> None:
        """Kafka has these."""

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> None: ...
    async def group(self) -> Any:
        """The member's metadata; taken anew for each commit, since its epoch moves silently."""

    async def rewind(self) -> None:
        """Drops what waits and reads again from the committed offsets."""


async def _close_windows(work: Work) -> None:
    """Raises ProducerFailed."""
    try:
        for store in work.stores():
            await store.close_windows()
    except ProducerFailed:
        raise
    except Exception as error:  # noqa: BLE001 - the author's code: it would be called again and again
        work.options.ends(f"a window could not be closed: {error!r}")


async def _ends(work: Work, stores: Sequence[Store]) -> Mapping[TP, int]:
    return await work.producer.ends([tp for store in stores if store.is_lasting for tp in store.changelogs()])


class AtLeastOnce:
    """Commits what is done without a gap. Outputs are confirmed first, so a crash repeats and loses nothing."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._turn = asyncio.Lock()

    @property
    def room(self) -> int:
        return 1 << 30

    async def has_room(self) -> None: ...

    def delivered(self, events: int) -> None: ...

    def acknowledged(self) -> None: ...

    async def commit(self) -> bool:
        async with self._turn:
            return await self._commit()

    async def settle(self) -> bool:
        """Before partitions are left: waits for what has begun."""
        deadline = monotonic() + self._work.options.drain_s
        while self._work.running() and monotonic() < deadline:  # noqa: ASYNC110 - Faust has no event for it
            await asyncio.sleep(0.002)
        return await self.commit()

    async def lose(self) -> None: ...

    async def _commit(self) -> bool:
        work = self._work
        offsets = work.flights.due()
        try:
            await _close_windows(work)
            changed = [store for store in work.stores() if store.has_changes()]
            if not offsets and not changed:
                return False
            for store in changed:
                store.write_changes(work.producer.write_all)
            await work.producer.flush()
        except ProducerFailed as failed:
            work.options.ends(str(failed))
        ends = await _ends(work, changed)
        for store in changed:
            store.keep_changes(ends)
        offsets = {tp: offset for tp, offset in offsets.items() if tp in work.flights}
        try:
            await work.commit_offsets(offsets)
        except KafkaException as error:
            log.warning("the offsets were not committed, what they cover is done again: %s", error)
            return False
        work.committed(offsets)
        return True


class ExactlyOnce:
    """Commits epochs: outputs, changelogs, dead letters and offsets in one transaction."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._opened = asyncio.Event()
        self._opened.set()
        self.epoch = Epoch(work.options.epoch_events)
        self._closing: set[asyncio.Task[bool]] = set()

    @property
    def room(self) -> int:
        """How many events may be delivered now."""
        return self.epoch.room

    async def has_room(self) -> None:
        """Closes an epoch that is full, and waits for the next one."""
        while not self.epoch.room:
            if self.epoch.phase is Phase.OPEN:
                await self.commit()
            await self._opened.wait()

    def delivered(self, events: int) -> None:
        self.epoch.delivered(events)

    def acknowledged(self) -> None:
        if self.epoch.phase is not Phase.OPEN:
            self._changed.set()

    def fail(self, done_before: int = 0) -> None:
        """An event failed: the epoch is aborted as soon as nobody is in the middle of one."""
        self.epoch.fail(done_before)
        self._opened.clear()
        self._changed.set()
        task = asyncio.ensure_future(self.commit())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def commit(self) -> bool:
        async with self._turn:
            if self.epoch.phase is Phase.OPEN and not self._has_work():
                return False
            self.epoch.close()
            return await self._conclude()

    async def settle(self) -> bool:
        """Before partitions are left: waits only for what has begun. Where to read on is the caller's to say."""
        async with self._turn:
            self.epoch.settle()
            return await self._conclude(reads_on=False)

    async def lose(self) -> None:
        """The partitions belong to others."""
        async with self._turn:
            self._opened.clear()
            self.epoch.settle()
            await self._barrier()
            self.epoch.lose()
            await self._abort()
            self._opened.set()

    def _has_work(self) -> bool:
        work = self._work
        transactions = work.producer.transactions
        is_open = transactions is not None and transactions.is_open
        return not self.epoch.is_empty or is_open or any(store.has_changes() for store in work.stores())

    async def _conclude(self, *, reads_on: bool = True) -> bool:
        self._opened.clear()
        await self._barrier()
        phase = self.epoch.quiet(has_gap=self._work.flights.has_gap)
        if phase is Phase.COMMITTING:
            phase = self.epoch.told(await self._commit())
        is_committed = phase is Phase.OPEN
        if phase is Phase.REWINDING:
            await self._abort()
            if reads_on:
                await self._work.rewind()
        elif phase is Phase.ENDED:
            self._end("another worker has its transactional id, or whether a commit was made is not known")
            return False
        self._opened.set()
        return is_committed

    async def _barrier(self) -> None:
        deadline = monotonic() + self._work.options.drain_s
        while not self._is_quiet():
            left_s = deadline - monotonic()
            if left_s <= 0:
                self._end(f"events have not finished for {self._work.options.drain_s:g} s")
                return
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, 0.05)):
                    await self._changed.wait()

    def _is_quiet(self) -> bool:
        return self.epoch.is_quiet(outstanding=self._work.flights.outstanding, running=self._work.running())

    async def _commit(self) -> Told:
        work = self._work
        transactions = work.producer.transactions
        if transactions is None:
            return Told.COMMITTED
        try:
            await _close_windows(work)
            offsets = work.flights.due()
            changed = [store for store in work.stores() if store.has_changes()]
            if not offsets and not changed and not transactions.is_open:
                return Told.COMMITTED
            for store in changed:
                store.write_changes(work.producer.write_all)
            ends = await _ends(work, changed)  # before the commit: after it others may write
            told = await transactions.commit(offsets, await work.group())
        except ProducerFailed as failed:
            log.warning("the transaction is aborted: %s", failed)
            return Told.REFUSED
        if told is Told.COMMITTED:
            for store in changed:
                store.keep_changes(ends)
            work.committed(offsets)
        return told

    async def _abort(self) -> None:
        transactions = self._work.producer.transactions
        if transactions is not None and await transactions.abort() is Told.LEAVE:
            self._end("the transaction could not be aborted")
        for store in self._work.stores():
            store.drop_changes()
        self.epoch.rewound()

    def _end(self, reason: str) -> None:
        self.epoch.end()
        self._work.options.ends(reason)
