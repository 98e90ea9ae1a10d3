"""At least once: watermarks."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from confluent_kafka import KafkaException

from mainstem.process.librdkafka.commits import Watch, Work, changelog_ends, close_windows
from mainstem.process.librdkafka.transaction import ProducerFailed

log = logging.getLogger(__name__)


class AtLeastOnce:
    """Commits what is done without a gap. Outputs are confirmed first, so a crash repeats and loses nothing."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._turn = asyncio.Lock()
        self._watch = Watch()

    @property
    def committing_s(self) -> float:
        return self._watch.committing_s

    @property
    def room(self) -> int:
        return 1 << 30

    @property
    def takes_on(self) -> bool:
        return True

    async def has_room(self) -> None: ...

    async def opened(self) -> None: ...

    def delivered(self, events: int) -> None:
        self._watch.delivered()

    def acknowledged(self) -> None: ...

    async def commit(self) -> bool:
        async with self._turn:
            try:
                return await self._commit()
            finally:
                self._watch.commit_ends()

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
            await close_windows(work)
            changed = [store for store in work.stores() if store.has_changes()]
            if not offsets and not changed:
                return False
            self._watch.commit_begins()
            for store in changed:
                store.write_changes(work.producer.write_all)
            await work.producer.flush()
        except ProducerFailed as failed:
            work.options.ends(str(failed))
        ends = await changelog_ends(work, changed)
        for store in changed:
            store.keep_changes(ends)
        offsets = {tp: offset for tp, offset in offsets.items() if tp in work.flights}
        try:
            await work.commit_offsets(offsets)
        except KafkaException as error:
            log.warning("the offsets were not committed, what they cover is done again: %s", error)
            return False
        work.committed(offsets, *self._watch.committed())
        return True
