"""Takes partitions over and gives them up: what runs is settled, what waits is dropped and read again by its owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from faust.types import TP

from mainstem.process.librdkafka.at_least_once import AtLeastOnce
from mainstem.process.librdkafka.exactly_once import ExactlyOnce
from mainstem.process.librdkafka.fetching import FetchThread
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.hands import Hands

log = logging.getLogger(__name__)


class Rebalance:
    """The partitions that are held. All of it runs in the loop."""

    def __init__(
        self,
        app: Any,
        fetching: FetchThread,
        flights: Flights[TP],
        commits: AtLeastOnce | ExactlyOnce,
        hands: Hands,
        announce: Callable[[set[TP], int], Awaitable[None]],
    ) -> None:
        """`announce` tells Faust what is held now; the tables are restored, and `start` lets the partitions run."""
        self._app = app
        self._fetching = fetching
        self._flights = flights
        self._commits = commits
        self._hands = hands
        self._announce = announce
        self.turn = asyncio.Lock()
        """Whoever commits or changes what is held has it."""
        self.held: set[TP] = set()
        self._assignment = 0
        """Counts the changes of what is held."""
        self.is_running = False
        """The tables are whole, and events flow."""
        self.is_assigned = False
        """The group has said what is ours, which may be nothing."""
        self.is_leaving = False
        """The worker stops: there is nothing to settle any more."""
        self.on_void: list[Callable[[], None]] = []
        """Called whenever what is under way counts no more."""
        self._takeovers: set[asyncio.Task[None]] = set()

    def assigned(self, offsets: Mapping[TP, int]) -> None:
        task = asyncio.ensure_future(self._take_over(offsets))
        self._takeovers.add(task)
        task.add_done_callback(self._took_over)

    def _took_over(self, task: asyncio.Task[None]) -> None:
        self._takeovers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._app.engine.ends(f"partitions could not be taken over: {error!r}")

    async def revoked(self, partitions: set[TP], lost: bool) -> None:
        """Settles what runs; what waits is dropped, and read again by whoever gets the partition."""
        app = self._app
        async with self.turn:
            app.on_rebalance_start()
            app.flow_control.clear()
            if lost:
                log.warning("%d partitions were given to others without a word", len(partitions))
                await self._commits.lose()
            elif not self.is_leaving:
                await self._commits.settle()
            self.void()
            starts = self._flights.restart(gained={}, left=partitions)
            self.held -= partitions
            self.is_assigned = bool(self.held)
            self._assignment += 1
            self.void()
            if self.held:
                await self._fetching.restart(self._flights.generation, starts, self._running)
            app.tables.on_partitions_revoked(partitions)
            await app.on_partitions_revoked.send(partitions)
            if self.held and not self.is_leaving:
                app.rebalancing = False

    async def _take_over(self, offsets: Mapping[TP, int]) -> None:
        app = self._app
        if self.is_leaving:
            return
        async with self.turn:
            if not app.rebalancing:
                app.on_rebalance_start()
            app.flow_control.clear()
            if self.held:
                await self._commits.settle()
            self.is_assigned = True
            starts = self._flights.restart(gained=offsets)
            self.held |= offsets.keys()
            self._assignment += 1
            self.is_running = False
            self.void()
            kept = {tp: offset for tp, offset in starts.items() if tp not in offsets}
            await self._fetching.restart(self._flights.generation, kept, ())
            held, assignment = set(self.held), self._assignment
        await self._announce(held, assignment)

    async def start(self, assignment: int) -> bool:
        """Lets what was assigned run, now that the tables are whole. False if there was a rebalance since."""
        async with self.turn:
            if assignment != self._assignment:
                return False
            self.is_running = True
            await self._fetching.restart(self._flights.generation, {}, self.held)
            return True

    async def rewind(self) -> None:
        """Drops what waits and reads again from where it was committed."""
        starts = self._flights.rewind()
        self.void()
        await self._fetching.restart(self._flights.generation, starts, self._running)

    def drop_waiting(self) -> None:
        """What waits in the agents' queues. What one of two agents has done, and the other not, is still half done."""
        self._app.flow_control.clear()

    def void(self) -> None:
        """What waits in the agents' queues, or was fetched before, counts no more."""
        self._app.consumer_generation_id = self._flights.generation
        self.drop_waiting()
        self._hands.drop()
        while (fetched := self._fetching.take()) is not None:
            self._fetching.done(fetched)
        for tell in self.on_void:
            tell()

    @property
    def _running(self) -> set[TP]:
        return self.held if self.is_running else set()
