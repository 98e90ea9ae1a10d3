"""Faust's table and the manager of tables, on stores that change with the transaction."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from faust.tables.manager import TableManager as BaseTableManager
from faust.tables.table import Table as BaseTable
from faust.types import TP

from mainstem.process.librdkafka.part import MISSING
from mainstem.process.librdkafka.recovery import Recovery
from mainstem.process.librdkafka.store import OverlayStore

DAY_S = 24 * 3600.0

S = TypeVar("S", bound=OverlayStore)


class Table(BaseTable[Any, Any]):
    """Changes reach the changelog when they are committed, once for each key."""

    def __init__(self, *args: Any, standby: bool = False, **options: Any) -> None:
        self.standby = standby
        """Whether this worker reads on what others change, so that it has little to restore when it takes over."""
        super().__init__(*args, **options)

    def info(self) -> Any:
        return {**super().info(), "standby": self.standby}

    def _new_store_by_url(self, url: Any) -> OverlayStore:
        return self._store_of(OverlayStore, url)

    def _store_of(self, kind: type[S], url: Any) -> S:
        return kind(
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

    @property
    def store(self) -> OverlayStore:
        return cast(OverlayStore, self.data)

    def view(self, partition: int, topic: str) -> Any:
        """The table as a step sees it that reads this partition: without Faust's book-keeping for each access."""
        if self.use_partitioner:
            return self
        self._verify_source_topic_partitions(topic)
        return self.store.open(partition)

    def __getitem__(self, key: Any) -> Any:
        """With one look-up, where Faust's has two."""
        self.on_key_get(key)
        value = self.store.find(key)
        return self.__missing__(key) if value is MISSING else value

    def on_key_set(self, key: Any, value: Any) -> None:
        partition = self.partition_for_key(key)
        if self.window is not None and partition is not None:
            latest = self._partition_latest_timestamp
            latest[partition] = max(latest[partition], key[1][1])
        self._sensor_on_set(self, key, value)

    def on_key_del(self, key: Any) -> None:
        self.partition_for_key(key)
        self._sensor_on_del(self, key)

    def _should_expire_keys(self) -> bool:
        """False: Faust's way goes by the clock, forgets at a restart what is to expire, and is part of no transaction.
        See OverlayStore.close_windows."""
        return False

    def _new_changelog_topic(self, *, retention: Any = None, **options: Any) -> Any:
        """Of a windowed table it is kept a day longer than the windows: Kafka deletes by the clock, and the windows of
        a stream that rests are still there when it goes on."""
        if retention is None and self.window is not None and self.window.expires:
            retention = self.window.expires + DAY_S
        return super()._new_changelog_topic(retention=retention, **options)


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
