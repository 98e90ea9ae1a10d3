"""Faust's consumer: brings what was fetched to the agents, keeps account of it, and lives through rebalances."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from confluent_kafka import TopicPartition
from faust.transport.consumer import Consumer as BaseConsumer
from faust.types import TP, ConsumerMessage

from mainstem.process.librdkafka.blame import Blame
from mainstem.process.librdkafka.clients import consumer_settings
from mainstem.process.librdkafka.commits import AtLeastOnce, ExactlyOnce, Store
from mainstem.process.librdkafka.dead_letter import letter
from mainstem.process.librdkafka.fetching import Fetched, FetchThread, Message
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.sending import Producer
from mainstem.process.librdkafka.transaction import ProducerFailed

IDLE_S = 0.5
YIELD_EVERY = 64

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Wants to know what becomes of the events that were acknowledged."""

    def committed(self) -> None:
        """They are committed, with all that was written."""

    def voided(self) -> None:
        """What was not committed counts no more: it is read again, here or elsewhere."""


class Consumer(BaseConsumer):
    """See the module. Everything here runs in the loop; `FetchThread` makes the calls on the client."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.options = cast(Any, self.app).engine
        self.flights: Flights[TP] = Flights()
        self.blame: Blame[TP] = Blame(self.options.retries)
        self.commits: AtLeastOnce | ExactlyOnce = ExactlyOnce(self) if self.in_transaction else AtLeastOnce(self)
        if self.in_transaction:
            self.commit_interval = self.options.epoch_ms / 1000
        self._arrival = asyncio.Event()
        self._turn = asyncio.Lock()
        self._held: set[TP] = set()
        self._assignment = 0
        """Counts the changes of what is held."""
        self._is_running = False
        self._is_leaving = False
        self._subscribed: frozenset[str] = frozenset()
        self._takes_batches: dict[TP, bool] = {}
        self.watchers: Sequence[Watcher] = ()
        self._takeovers: set[asyncio.Task[None]] = set()

    async def on_start(self) -> None:
        conf = self.app.conf
        settings = consumer_settings(
            cast(Any, self.transport).bootstrap, conf.id, float(conf.broker_session_timeout), self.options
        )
        self._fetching = FetchThread(
            settings,
            self,
            batch=self.options.batch,
            ahead=self.options.ahead,
            earliest=conf.consumer_auto_offset_reset == "earliest",
        )
        if conf.topic_allow_declare:
            await self.producer.create_topic(self._letters, conf.topic_partitions, conf.topic_replication_factor)
        self._fetching.start()
        await super().on_start()

    async def on_stop(self) -> None:
        await super().on_stop()
        self._is_leaving = True
        await self._fetching.stop()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """The same topics again mean new channels: librdkafka would not rejoin for them, and Faust relies on that."""
        wanted = frozenset(topics)
        if wanted == self._subscribed:
            await self.app.topics.on_partitions_assigned(self._held | self.app.assignor.assigned_actives())
            self._takes_batches.clear()
            return
        self._subscribed = wanted
        self._fetching.subscribe(wanted)

    # What the fetching thread tells.

    def arrived(self) -> None:
        self._arrival.set()

    def assigned(self, offsets: Mapping[TP, int]) -> None:
        task = asyncio.ensure_future(self._take_over(offsets))
        self._takeovers.add(task)
        task.add_done_callback(self._takeovers.discard)

    async def revoked(self, partitions: set[TP], lost: bool) -> None:
        """Settles what runs; what waits is dropped, and read again by whoever gets the partition."""
        app = self.app
        async with self._turn:
            app.on_rebalance_start()
            app.flow_control.clear()
            if lost:
                log.warning("%d partitions were given to others without a word", len(partitions))
                await self.commits.lose()
            elif not self._is_leaving:
                await self.commits.settle()
            self._void()
            starts = self.flights.restart(gained={}, left=partitions)
            self._held -= partitions
            self._assignment += 1
            self._void()
            if self._held:
                await self._fetching.restart(self.flights.generation, starts, self._held if self._is_running else ())
            app.tables.on_partitions_revoked(partitions)
            await app.on_partitions_revoked.send(partitions)
            if self._held and not self._is_leaving:
                app.rebalancing = False

    def failed(self, reason: str) -> None:
        self.options.ends(reason)

    async def _take_over(self, offsets: Mapping[TP, int]) -> None:
        app = self.app
        if self._is_leaving:
            return
        async with self._turn:
            if not app.rebalancing:
                app.on_rebalance_start()
            app.flow_control.clear()
            if self._held:
                await self.commits.settle()
            starts = self.flights.restart(gained=offsets)
            self._held |= offsets.keys()
            self._assignment += 1
            self._is_running = False
            self._takes_batches.clear()
            self._void()
            kept = {tp: offset for tp, offset in starts.items() if tp not in offsets}
            await self._fetching.restart(self.flights.generation, kept, ())
            held, assignment = set(self._held), self._assignment
            self._read_offset.update(starts)
        app.assignor.on_assigned(held)  # type: ignore[attr-defined]
        await self.on_partitions_assigned(held | app.assignor.assigned_actives(), assignment)

    async def start_partitions(self, assignment: int) -> bool:
        """Lets what was assigned run, now that the tables are whole. False if there was a rebalance since."""
        async with self._turn:
            if assignment != self._assignment:
                return False
            self._is_running = True
            await self._fetching.restart(self.flights.generation, {}, self._held)
            return True

    async def rewind(self) -> None:
        """Drops what waits and reads again from where it was committed."""
        starts = self.flights.rewind()
        self._void()
        await self._fetching.restart(self.flights.generation, starts, self._held if self._is_running else ())

    def _void(self) -> None:
        """What waits in the agents' queues, or was fetched before, counts no more."""
        cast(Any, self.app).consumer_generation_id = self.flights.generation
        self.app.flow_control.clear()
        while (fetched := self._fetching.take()) is not None:
            self._fetching.done(fetched)
        for watcher in self.watchers:
            watcher.voided()

    # Delivery.

    async def _drain_messages(self, fetcher: Any) -> None:
        while not (self._stopped.is_set() or fetcher._stopped.is_set()):
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
                await self._deliver(fetched)
            finally:
                self._fetching.done(fetched)

    async def _deliver(self, fetched: Fetched) -> None:
        generation, tp, records = fetched
        if cast(Any, self.app)._reply_consumer._fetchers and tp.topic in cast(Any, self.app)._reply_consumer._fetchers:
            await self._deliver_replies(tp, records)
            return
        at = 0
        while at < len(records):
            await self.commits.has_room()
            if not self.flow_active:
                await self.can_resume_flow.wait()
            if generation != self.flights.generation or tp not in self.flights:
                return
            portion = records[at : at + self.commits.room]
            if not portion:
                continue
            at += len(portion)
            if self._is_batched(tp):
                await self._deliver_batch(tp, portion)
            else:
                await self._deliver_each(tp, portion, generation)

    async def _deliver_batch(self, tp: TP, records: Sequence[Message]) -> None:
        message = self._message(tp, records[0], None, records)
        await self._hand_over(message, records[-1].offset() + 1, len(records))

    async def _deliver_each(self, tp: TP, records: Sequence[Message], generation: int) -> None:
        for count, record in enumerate(records, 1):
            if not count % YIELD_EVERY:
                await asyncio.sleep(0)
            await self.commits.has_room()
            if generation != self.flights.generation:
                return
            message = self._message(tp, record, record.key(), record.value())
            if self.blame and (error := self.blame.poison(tp, message.offset)) is not None:
                self.flights.deliver(tp, message.offset, message.offset + 1)
                self.commits.delivered(1)
                self.dead_letter(tp, message.offset, message.key, message.value, error)
                self.ack(message)
                continue
            await self._hand_over(message, message.offset + 1, 1)

    async def _deliver_replies(self, tp: TP, records: Sequence[Message]) -> None:
        """A process's own reply topic has a channel that nobody reads besides, so its events are never finished: they
        stay out of the account."""
        for record in records:
            message = self._message(tp, record, record.key(), record.value())
            message.acked = message.tracked = True
            await self.callback(message)

    async def _hand_over(self, message: ConsumerMessage, after: int, events: int) -> None:
        self.flights.deliver(message.tp, message.offset, after)
        self.commits.delivered(events)
        await self.callback(message)
        if not message.refcount and not message.acked:  # nobody reads it, or it could not be decoded
            self.ack(message)

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
            generation_id=self.flights.generation,
        )

    def _is_batched(self, tp: TP) -> bool:
        """Whether all who read the partition take whole batches."""
        known = self._takes_batches.get(tp)
        if known is None:
            schemas = [channel.schema for channel in cast(Any, self.app.topics)._tp_index.get(tp) or ()]
            known = bool(schemas) and all(getattr(schema, "takes_batches", False) for schema in schemas)
            self._takes_batches[tp] = known
            # With a second reader, one's outputs could be committed without the other's, and without the offset.
            is_deferred = len(schemas) == 1 and getattr(schemas[0], "is_deferred", False)
            (self.flights.deferred.add if is_deferred else self.flights.deferred.discard)(tp)
        return known

    # Account.

    def ack(self, message: Any) -> bool:
        """Whether it counted: what belongs to an earlier assignment, or was rolled back, does not."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        counted = self.flights.acknowledge(message.tp, message.offset, message.generation_id)
        if counted:
            self._n_acked += 1
        self.commits.acknowledged()
        return counted

    @property
    def is_idle(self) -> bool:
        return self._is_running and self.flights.is_idle and not self._fetching.waiting

    def is_current(self, message: Any) -> bool:
        """Whether its acknowledgement would count."""
        return bool(message.generation_id == self.flights.generation) and message.tp in self.flights

    def give_up(self, message: Any) -> None:
        """It was not done: its acknowledgement, which Faust makes when the next event is asked for, does not count."""
        message.acked = True
        self._unacked_messages.discard(message)

    def running(self) -> int:
        deferred = self.flights.deferred
        return sum(not message.acked and message.tp not in deferred for message in list(self._unacked_messages))

    @property
    def producer(self) -> Producer:
        return cast(Producer, self.app.producer)

    def stores(self) -> Sequence[Store]:
        stores = (getattr(table, "_data", None) for table in self.app.tables.values())
        return [cast(Store, store) for store in stores if hasattr(store, "write_changes")]

    def event_failed(self, message: Any, offset: int, error: BaseException) -> bool:
        """An agent raised in the middle of an event. Whether the event is to be handed to it again, at once."""
        self._unacked_messages.discard(message)
        tp = message.tp
        if message.generation_id != self.flights.generation:
            self.commits.acknowledged()
            return False
        is_poison = not isinstance(error, ProducerFailed) and self.blame.failed(tp, offset, error)
        log.warning("an event failed at %s/%d/%d%s", *tp, offset, ", given up" if is_poison else "", exc_info=error)
        if isinstance(self.commits, ExactlyOnce):
            done = self.flights.due()
            before = sum(mark - (self.flights.position(p) or 0) for p, mark in done.items()) + offset - message.offset
            self.commits.fail(before)
            self.flights.rewind()
            self._void()
            return False
        if not is_poison:
            message.tracked = False  # it begins anew
            return True
        self.dead_letter(tp, offset, message.key, message.value, error)
        self.ack(message)
        return False

    def dead_letter(self, tp: TP, offset: int, key: Any, value: Any, error: BaseException) -> None:
        """Written with the event's other outputs: in the same transaction, or before its offset is committed."""
        self.producer.write(self._letters, key, value, -1, letter(tp, offset, error))

    @property
    def _letters(self) -> str:
        return self.options.dead_letters or f"{self.app.conf.id}-dead-letters"

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Does nothing while a commit is under way, or without a group."""
        if self.app.client_only or self._turn.locked():
            return False
        async with self._turn:
            return await self.commits.commit()

    async def wait_empty(self) -> None:
        async with self._turn:
            self._void()
            await self.commits.settle()

    async def commit_and_end_transactions(self) -> None:
        await self.wait_empty()

    def committed(self, offsets: Mapping[TP, int]) -> None:
        self.flights.committed(offsets)
        self.blame.committed(offsets)
        self._committed_offset.update(offsets)
        for watcher in self.watchers:
            watcher.committed()
        self.app.monitor.on_tp_commit(dict(offsets))

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> None:
        places = [TopicPartition(*tp, offset) for tp, offset in offsets.items()]
        if places:
            await self._fetching.ask(lambda client: client.commit(offsets=places, asynchronous=False))

    async def group(self) -> Any:
        return await self._fetching.ask(lambda client: client.consumer_group_metadata())

    # What Faust asks of a consumer besides.

    def assignment(self) -> set[TP]:
        return set(self._held)

    def highwater(self, tp: TP) -> int:
        """Not known here; -1 is Faust's word for it."""
        return -1

    def topic_partitions(self, topic: str) -> int | None:
        return cast(int | None, cast(Any, self.transport).admin.partitions(topic))

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """They are paused until `start_partitions`."""

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """See `pause_partitions`."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's search for stalls knows its own transport only."""

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        if partition is not None or key is None:
            return partition
        return self.producer.key_partition(topic, key).partition

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        await self.producer.create_topic(topic, partitions, replication, **options)

    async def position(self, tp: TP) -> int | None:
        return self.flights.position(tp)

    async def perform_seek(self) -> None:
        """Where to read is said at the assignment."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return {tp: self.flights.position(tp) or 0 for tp in self._held}

    async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
        return {tp: bounds[0] for tp, bounds in (await self._bounds(tps)).items()}

    async def highwaters(self, *tps: TP) -> Mapping[TP, int]:
        return {tp: bounds[1] for tp, bounds in (await self._bounds(tps)).items()}

    async def _bounds(self, tps: Iterable[TP]) -> dict[TP, tuple[int, int]]:
        def ask(client: Any) -> dict[TP, tuple[int, int]]:
            return {tp: client.get_watermark_offsets(TopicPartition(*tp), timeout=10) for tp in tps}

        return await self._fetching.ask(ask)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        raise NotImplementedError("see commits")

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        raise NotImplementedError("see _drain_messages")

    def _to_message(self, tp: TP, record: Any) -> Any:
        raise NotImplementedError("see _message")

    def _new_topicpartition(self, topic: str, partition: int) -> Any:
        return TopicPartition(topic, partition)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        raise NotImplementedError("a position is moved with an assignment")

    async def _seek(self, partition: TP, offset: int) -> None:
        raise NotImplementedError("a position is moved with an assignment")
