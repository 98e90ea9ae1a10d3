"""Makes the tables of new partitions whole, then lets the partitions run; reads on what this worker does not change."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from faust import Service
from faust.types import TP

from mainstem.process.librdkafka.restoring import Part, Readers, restore
from mainstem.process.librdkafka.store import OverlayStore
from mainstem.process.librdkafka.tailing import Tail

log = logging.getLogger(__name__)


class Recovery(Service):
    """See the module. Faust's own would read the changelogs as members of the group."""

    def __init__(self, app: Any, tables: Any, **options: Any) -> None:
        self.app = app
        self.tables = tables
        self.completed = asyncio.Event()
        self.in_recovery = False
        self._signal = asyncio.Event()
        self._assignment = 0
        self._abandoned = threading.Event()
        self._tail: Tail | None = None
        super().__init__(**options)

    async def on_stop(self) -> None:
        self._abandoned.set()
        if self._tail is not None:
            await self._tail.stop()

    def flush_buffers(self) -> None:
        """There are none."""

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._abandoned.set()
        numbers = {tp.partition for tp in revoked}
        actives = self.app.assignor.assigned_actives()
        for store in self._stores():
            store.leave({number for number in numbers if TP(store.topic, number) in actives})

    def on_rebalance(self, assignment: int) -> None:
        self._abandoned.set()
        self._assignment = assignment
        self._signal.set()

    @Service.task
    async def _recover(self) -> None:
        while not self.should_stop:
            try:
                async with asyncio.timeout(1.0):
                    await self._signal.wait()
            except TimeoutError:
                continue
            self._signal.clear()
            self._abandoned = abandoned = threading.Event()
            assignment = self._assignment
            try:
                await self._restore()
            except Exception as error:  # noqa: BLE001 - without its tables the worker cannot do anything
                if abandoned.is_set():  # they were given up meanwhile, and closed under the thread that filled them
                    log.info("restoring was broken off: %r", error)
                    continue
                self.app.engine.ends(f"its tables could not be restored: {error!r}")
            if not self._signal.is_set():
                await self._start(assignment)

    async def _restore(self) -> None:
        app = self.app
        transport = app.transport
        readers = Readers(transport.bootstrap, f"{app.conf.id}-restore", app.engine, transport.admin)
        if self._tail is None:
            self._tail = Tail(readers, app.engine.ends)
        await self._tail.stop()
        actives = app.assignor.assigned_actives()
        plan: dict[TP, Part] = {}
        followed: dict[TP, Part] = {}
        for store in self._stores():
            plan |= store.needed(actives)
            followed |= store.followed(actives)
        if plan:
            self.in_recovery = app.in_recovery = True
            loop, abandoned = asyncio.get_running_loop(), self._abandoned
            count = await loop.run_in_executor(None, lambda: restore(readers, plan, abandoned))
            log.info("restored %d changelog records of %d partitions", count, len(plan))
            self.in_recovery = app.in_recovery = False
        if not self._abandoned.is_set():
            await self._tail.follow(followed)

    async def _start(self, assignment: int) -> None:
        app = self.app
        await app.on_rebalance_complete.send()
        for table in self.tables.values():
            await table.call_recover_callbacks()
        app.flow_control.resume()
        app.consumer.resume_flow()
        if not await app.consumer.start_partitions(assignment):
            return
        self.completed.set()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()

    def _stores(self) -> list[OverlayStore]:
        return [table.data for table in self.tables.values()]
