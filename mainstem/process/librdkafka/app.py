"""The Faust app on librdkafka."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

import faust
from faust.exceptions import ImproperlyConfigured
from faust.types.enums import ProcessingGuarantee

from mainstem.process.librdkafka.assign import Assignor
from mainstem.process.librdkafka.batch import Step, agent_for
from mainstem.process.librdkafka.channel import Topic
from mainstem.process.librdkafka.deferred import DeferredBatches, DeferredRunner, Function
from mainstem.process.librdkafka.global_table import GlobalTable
from mainstem.process.librdkafka.join_kind import Kind
from mainstem.process.librdkafka.joins import Decode, Joined, join_streams, join_tables
from mainstem.process.librdkafka.options import EngineOptions
from mainstem.process.librdkafka.progress import Progress
from mainstem.process.librdkafka.stream import Agent, Stream
from mainstem.process.librdkafka.stream_join import Window
from mainstem.process.librdkafka.tables import Table, TableManager

F = TypeVar("F", bound=Callable[..., Any])


def _raw(value: Any) -> Any:
    return value


def _nothing() -> None: ...


class App(faust.App):
    """As faust.App, with the classes that hold the engine's promises. `broker` is `librdkafka://host:port`.

    `processing_guarantee="exactly_once"`: outputs, tables, dead letters and offsets become visible together, or not at
    all. At-least-once (Faust's default): nothing is lost; outputs may repeat and tables are approximate after a crash.
    """

    def __init__(self, id: str, *, engine: EngineOptions | None = None, **settings: Any) -> None:
        self.engine = engine or EngineOptions()
        classes = {
            "Stream": Stream,
            "Agent": Agent,
            "Table": Table,
            "GlobalTable": GlobalTable,
            "TableManager": TableManager,
            "PartitionAssignor": Assignor,
            "Topic": Topic,
        }
        if taken := sorted(classes.keys() & settings.keys()):
            raise ValueError(f"the engine needs classes of its own for {', '.join(taken)}")
        defaults = {"web_enabled": False, "topic_disable_leader": True, "consumer_auto_offset_reset": "earliest"}
        super().__init__(id, **{**defaults, **settings, **classes})

    @property
    def in_transaction(self) -> bool:
        """Whether outputs are exactly-once. Faust remembers the first answer, also one from before the worker began."""
        guarantee: Any = self.conf.processing_guarantee
        return self.in_worker and bool(guarantee == ProcessingGuarantee.EXACTLY_ONCE)

    def pausing(self) -> AbstractContextManager[None]:
        """For as long as events wait for something that a new start would not change, such as a missing table of a
        target: `with app.pausing(): ...`. The watchdog does not take it for a stall."""
        pausing: AbstractContextManager[None] = cast(Any, self.consumer).health.pausing()
        return pausing

    @property
    def generation(self) -> int:
        """Rises whenever what is under way becomes void: with each rebalance and each abort."""
        return int(cast(Any, self.consumer).flights.generation)

    @property
    def is_idle(self) -> bool:
        """Partitions were given out (there may be none for this worker), and all that came of them is done."""
        return bool(cast(Any, self.consumer).is_idle)

    @property
    def committing_s(self) -> float:
        """For how long Kafka has been asked to commit; 0 while it is not asked."""
        return float(cast(Any, self.consumer).commits.committing_s)

    @property
    def progress(self) -> Progress:
        """How far this worker is; before it runs, nowhere."""
        progress: Progress = cast(Any, self.consumer).health.progress if self.in_worker else Progress()
        return progress

    @property
    def is_ready(self) -> bool:
        """For a readiness probe: it is assigned, its tables are restored, and what is under way gets committed."""
        return self.progress.is_ready

    async def _stop_consumer(self) -> None:
        """Faust's would drop the tables before what is under way is committed: its outputs and offsets would be, and
        its changes of the tables would not."""
        consumer = cast(Any, self._consumer)
        if consumer is None or not consumer.assignment():
            return
        consumer.stop_flow()
        self.flow_control.suspend()
        await self._stop_fetcher()
        await self._consumer_wait_empty(consumer, self.log)
        await self.tables.stop()

    def Table(self, name: str, *, standby: bool = False, **options: Any) -> Any:
        """As Faust's. With `standby` this worker reads on the partitions of the others too, and has little to restore
        when it takes one over; that costs it the memory, or disk, of the whole table."""
        return super().Table(name, standby=standby, **options)

    def GlobalTable(
        self,
        name: str,
        *,
        reads: str | None = None,
        decode: Callable[[bytes], Any] | None = None,
        **options: Any,
    ) -> Any:
        """Reference data that every worker has all of, read-only: the newest value of each key of the topic `reads`.

        Its keys are bytes, and its values what `decode` makes of the bytes (Faust's JSON if it is not said). Without
        `reads` it is a topic of its own, `<app id>-<name>-changelog`, with keys and values as those of any table.
        """
        if reads is not None:
            options = {"changelog_topic": self.topic(reads), "key_type": bytes, **options}
        return super().GlobalTable(name, decode=decode, **options)

    def SetTable(self, *args: Any, **options: Any) -> Any:
        """Raises ImproperlyConfigured: its changes would not be part of the transaction."""
        raise ImproperlyConfigured("this engine has no SetTable yet")

    def SetGlobalTable(self, *args: Any, **options: Any) -> Any:
        """Raises ImproperlyConfigured."""
        raise ImproperlyConfigured("this engine has no SetGlobalTable yet")

    def step(
        self,
        reads: str | re.Pattern[str],
        *,
        writes: str | None = None,
        table: Any = None,
        decode: Callable[[bytes | None], Any] = _raw,
        encode: Callable[[Any], bytes | None] = _raw,
        concurrency: int = 1,
    ) -> Callable[[F], F]:
        """Runs a function over each event of the topic `reads`; what it returns goes to the topic `writes`. `reads` may
        be a compiled pattern: then it is all topics whose whole name fits, those that are made later too.

        It is called with the event and the table, and may be a coroutine: then events of up to `concurrency` keys run
        beside each other, those of one key in order. It does not see batches, and is not called with half of one.
        """

        def register(function: F) -> F:
            agent_for(self, reads, Step(function, writes, table, decode, encode, concurrency))
            return function

        return register

    def join_streams(  # noqa: PLR0913 - what a join is made of
        self,
        left: str,
        right: str,
        *,
        writes: str,
        join: Callable[[Any, Any], Any],
        name: str,
        within: Window,
        kind: Kind = Kind.INNER,
        decode: Decode = _raw,
        decode_right: Decode | None = None,
        encode: Callable[[Any], bytes] = _raw,
        partitions: int | None = None,
    ) -> None:
        """Joins the events of two topics that have one key and are not further apart in time than `within` says.

        `join` is called with the values of a pair, and with None for a partner that did not come; what it returns is
        written under their key, None is not. See `stream_join` for what belongs together, and when it comes out. Both
        topics have as many partitions, and are keyed alike. `name` is part of the names of two changelogs.
        """
        joined = Joined(name, left, right, writes, join, kind, decode, decode_right or decode, encode, partitions)
        join_streams(self, joined, within)

    def join_tables(  # noqa: PLR0913 - as above
        self,
        left: str,
        right: str,
        *,
        writes: str,
        join: Callable[[Any, Any], Any],
        name: str,
        kind: Kind = Kind.INNER,
        decode: Decode = _raw,
        decode_right: Decode | None = None,
        encode: Callable[[Any], bytes] = _raw,
        partitions: int | None = None,
    ) -> None:
        """Joins the newest values under each key of two compacted topics into a third: `join(left, right)`, a tombstone
        where it returns None or nothing is joined any more.

        Both topics have as many partitions, and are keyed alike. `name` is part of the names of two changelogs.
        """
        joined = Joined(name, left, right, writes, join, kind, decode, decode_right or decode, encode, partitions)
        join_tables(self, joined)

    def batches(
        self, reads: str, function: Function, *, committed: Callable[[], object] = _nothing, name: str = "batches"
    ) -> None:
        """Runs a function over what arrives of the topic `reads`, a batch at a time. It returns what is to be written,
        and may wait for as long as it likes: what it returns is written when it is done, with the batch's offset.

        `committed` is called after each commit.
        """
        runner = DeferredRunner(self, function, committed)

        async def run(stream: Any) -> None:
            await runner.run(stream)

        self.agent(self.topic(reads, schema=DeferredBatches()), name=f"{self.conf.id}.{name}")(run)
