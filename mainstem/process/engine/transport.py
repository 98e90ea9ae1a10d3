"""Faust's own aiokafka transport, with the four things changed that its settings cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as stock
from faust.types import TP


class ConsumerThread(stock.AIOKafkaConsumerThread):
    """Reads committed records only. Faust does so in its exactly-once mode alone, but sources write in transactions."""

    def _create_worker_consumer(self, transport: stock.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        return consumer

    async def on_thread_stop(self) -> None:
        """Leaves the group: a member with a name would otherwise keep its partitions from the others for a while."""
        if self._consumer is not None and self._consumer._coordinator is not None:
            self._consumer._coordinator._group_instance_id = None
        await super().on_thread_stop()


class Consumer(stock.Consumer):
    """Commits what is acknowledged in order, and lets nobody wait without end for what is not."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        """The offset after the last one acknowledged: the engine acknowledges a partition strictly in order.

        Faust looks for a run without gaps instead, and never finds one when a transaction's marker follows offset 0.
        """
        acked = self._acked[tp]
        if not acked:
            return None
        last = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return last + 1

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets without a record (transaction markers, compaction) are of no concern."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        with cast(Transport, self.transport).leaving():
            await super().on_partitions_revoked(revoked)


class Producer(stock.Producer):
    """Idempotent, as Faust's own in exactly-once mode: a resend after a lost answer is no second record."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class Transport(stock.Transport):
    """See the module. `leaving` is entered while partitions are given up."""

    Consumer = Consumer
    Producer = Producer
    leaving: Callable[[], AbstractContextManager[None]]


class NoTables(TableManager):
    """Faust waits a second at the start for tables to be declared; there are none."""

    async def on_start(self) -> None:
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()
