"""Exactly once: epochs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from time import monotonic

from mainstem.process.librdkafka.commits import Watch, Work, changelog_ends, close_windows
from mainstem.process.librdkafka.epoch import Epoch, Phase, Told
from mainstem.process.librdkafka.transaction import ProducerFailed

PATIENT = 0.25
"""So much of the time that events have to finish a commit waits for those that have not even begun."""

log = logging.getLogger(__name__)


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
        self._watch = Watch()

    @property
    def committing_s(self) -> float:
        return self._watch.committing_s

    @property
    def room(self) -> int:
        """How many events may be delivered now."""
        return self.epoch.room

    @property
    def takes_on(self) -> bool:
        """Whether an event may be begun: what it writes belongs to a transaction that waits for it."""
        return self.epoch.takes_on

    async def has_room(self) -> None:
        """Closes an epoch that is full, and waits for the next one."""
        while not self.epoch.room:
            if self.epoch.phase is Phase.OPEN:
                await self.commit()
            await self._opened.wait()

    async def opened(self) -> None:
        """Waits for a commit or an abort that is under way: what is written until the next await is not cut in two."""
        while not self._opened.is_set():
            await self._opened.wait()

    def delivered(self, events: int) -> None:
        self._watch.delivered()
        self.epoch.delivered(events)

    def acknowledged(self) -> None:
        if self.epoch.phase is not Phase.OPEN and not self._changed.is_set() and self._is_quiet():
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
        self._hurry()
        async with self._turn:
            self.epoch.settle()
            return await self._conclude(reads_on=False)

    async def lose(self) -> None:
        """The partitions belong to others."""
        self._hurry()
        async with self._turn:
            self._opened.clear()
            self.epoch.settle()
            await self._barrier()
            self.epoch.lose()
            await self._abort("its partitions were given to others")
            self._opened.set()

    def _hurry(self) -> None:
        """What waits in queues was dropped: a commit that is under way would wait for it until the worker ends."""
        self.epoch.settle()
        self._changed.set()

    def _has_work(self) -> bool:
        work = self._work
        transactions = work.producer.transactions
        is_open = transactions is not None and transactions.is_open
        is_begun = is_open or not self.epoch.is_empty
        return is_begun or bool(work.flights.due()) or any(store.has_changes() for store in work.stores())

    async def _conclude(self, *, reads_on: bool = True) -> bool:
        self._opened.clear()
        await self._barrier()
        reason = "an event failed" if self.epoch.is_failed else "something was done beyond what was not"
        phase = self.epoch.quiet(has_gap=self._work.flights.has_gap or self._work.has_half_done)
        is_cut = self.epoch.is_cut
        if phase is Phase.COMMITTING:
            reason = "Kafka refused it"
            phase = self.epoch.told(await self._commit())
            self._watch.commit_ends()
        is_committed = phase is Phase.OPEN
        if phase is Phase.REWINDING:
            await self._abort(reason)
            if reads_on:
                await self._work.rewind()
        elif phase is Phase.ENDED:
            self._end("another worker has its transactional id, or whether a commit was made is not known")
            return False
        elif is_cut and reads_on:
            await self._work.rewind()
        self._opened.set()
        return is_committed

    async def _barrier(self) -> None:
        """Waits for what the epoch waits for: before it cannot wait any longer, for less."""
        drain_s = self._work.options.drain_s
        deadline = monotonic() + drain_s
        while not self._is_quiet():
            left_s = deadline - monotonic()
            if left_s <= drain_s * (1 - PATIENT) and self.epoch.cut(self._work.flights.done):
                self._work.drop_waiting()
                continue
            if left_s <= 0:
                self._end(f"events have not finished for {drain_s:g} s")
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
        self._watch.commit_begins()
        try:
            await close_windows(work)
            offsets = work.flights.due()
            changed = [store for store in work.stores() if store.has_changes()]
            if not offsets and not changed and not transactions.is_open:
                return Told.COMMITTED
            for store in changed:
                store.write_changes(work.producer.write_all)
            ends = await changelog_ends(work, changed)  # before the commit: after it others may write
            told = await transactions.commit(offsets, await work.group())
        except ProducerFailed as failed:
            log.warning("the transaction is aborted: %s", failed)
            return Told.REFUSED
        if told is Told.COMMITTED:
            for store in changed:
                store.keep_changes(ends)
            work.committed(offsets, *self._watch.committed())
        return told

    async def _abort(self, reason: str) -> None:
        transactions = self._work.producer.transactions
        if transactions is not None and await transactions.abort() is Told.LEAVE:
            self._end("the transaction could not be aborted")
        for store in self._work.stores():
            store.drop_changes()
        self._watch.reset()
        self._work.aborted(reason)
        self.epoch.rewound()

    def _end(self, reason: str) -> None:
        self.epoch.end()
        self._work.options.ends(reason)
