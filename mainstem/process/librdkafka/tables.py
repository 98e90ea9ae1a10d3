"""Faust's table and the manager of tables, on stores that change with the transaction."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, cast

from faust import Service
from faust.tables.manager import TableManager as BaseTableManager
from faust.tables.table import Table as BaseTable
from faust.types import TP

from mainstem.process.librdkafka.restoring import restore
from mainstem.process.librdkafka.store import OverlayStore

log = logging.getLogger(__name__)


class Table(BaseTable[Any, Any]):
    """Changes reach the changelog when they are committed, once for each key."""

    def _new_store_by_url(self, url: Any) -> Any:
        return OverlayStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            loop=self.loop,
            options=self.options,
        )

    def on_key_set(self, key: Any, value: Any) -> None:
        partition = self.partition_for_key(key)
        if self.window is not None:
            self._maybe_set_key_ttl(key, partition if partition is not None else 0)
        self._sensor_on_set(self, key, value)

    def on_key_del(self, key: Any) -> None:
        partition = self.partition_for_key(key)
        if self.window is not None:
            self._maybe_del_key_ttl(key, partition if partition is not None else 0)
        self._sensor_on_del(self, key)


class Recovery(Service):
    """Makes the tables of new partitions whole, then lets the partitions run."""

    def __init__(self, app: Any, tables: Any, **options: Any) -> None:
        self.app = app
        self.tables = tables
        self.completed = asyncio.Event()
        self.in_recovery = False
        self._signal = asyncio.Event()
        self._assignment = 0
        self._abandoned = threading.Event()
        super().__init__(**options)

    def flush_buffers(self) -> None:
        """There are none."""

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._abandoned.set()
        numbers = {tp.partition for tp in revoked}
        actives = self.app.assignor.assigned_actives()
        for table in self.tables.values():
            if table._data is not None:
                topic = table.changelog_topic_name
                table._data.leave({number for number in numbers if TP(topic, number) in actives})

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
            self._abandoned = threading.Event()
            assignment = self._assignment
            await self._restore()
            if not self._signal.is_set():
                await self._start(assignment)

    async def _restore(self) -> None:
        app = self.app
        plan = {}
        for tp in app.assignor.assigned_actives():
            table = self.tables._changelogs.get(tp.topic)
            if table is not None:
                plan[tp] = table.data.open(tp.partition)
        if not plan:
            return
        self.in_recovery = app.in_recovery = True
        loop = asyncio.get_running_loop()
        group = f"{app.conf.id}-restore"
        bootstrap, options, abandoned = app.transport.bootstrap, app.engine, self._abandoned
        try:
            count = await loop.run_in_executor(None, lambda: restore(bootstrap, group, options, plan, abandoned))
        except Exception as error:  # noqa: BLE001 - without its tables the worker cannot do anything
            options.ends(f"its tables could not be restored: {error!r}")
            return
        log.info("restored %d changelog records of %d partitions", count, len(plan))
        self.in_recovery = app.in_recovery = False

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


class TableManager(BaseTableManager):
    """Changelogs are not among what the group assigns: they are read by a consumer of their own."""

    @property
    def recovery(self) -> Any:
        if self._recovery is None:
            self._recovery = cast(Any, Recovery(self.app, self, beacon=self.beacon, loop=self.loop))
        return self._recovery

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()

    async def _update_channels(self) -> None:
        self._tables_finalized.set()
        for table in self.values():
            await table.maybe_start()
        self._tables_registered.set()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        self._recovery_started.set()
        self.recovery.on_rebalance(generation_id)

    def on_commit(self, offsets: Any) -> None:
        """The stores keep their own offsets."""
