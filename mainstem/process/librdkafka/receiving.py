"""Faust's consumer. A record's way: `fetching`, `delivering`, `account`, `commits`; `rebalancing` stands beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from confluent_kafka import KafkaException, TopicPartition
from faust import Service
from faust.transport.consumer import Consumer as BaseConsumer
from faust.types import TP

from mainstem.process.librdkafka.account import Account, Watcher, letters_of
from mainstem.process.librdkafka.at_least_once import AtLeastOnce
from mainstem.process.librdkafka.blame import Blame
from mainstem.process.librdkafka.clients import consumer_settings
from mainstem.process.librdkafka.collector import look_less
from mainstem.process.librdkafka.commits import Store
from mainstem.process.librdkafka.delivering import Delivery
from mainstem.process.librdkafka.exactly_once import ExactlyOnce
from mainstem.process.librdkafka.fetching import Ahead, FetchThread
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.hands import Hands
from mainstem.process.librdkafka.health import Health
from mainstem.process.librdkafka.patience import bounds
from mainstem.process.librdkafka.rebalancing import Rebalance
from mainstem.process.librdkafka.sending import Producer


class Consumer(BaseConsumer):
    """Puts the parts together. Everything here runs in the loop; `FetchThread` makes the calls on the client."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        app, conf = cast(Any, self.app), self.app.conf
        self.options = app.engine
        self.flights: Flights[TP] = Flights()
        self.commits: AtLeastOnce | ExactlyOnce = ExactlyOnce(self) if self.in_transaction else AtLeastOnce(self)
        if self.in_transaction:
            self.commit_interval = self.options.epoch_ms / 1000
        settings = consumer_settings(
            cast(Any, self.transport).bootstrap, conf.id, float(conf.broker_session_timeout), self.options
        )
        self._fetching = FetchThread(
            settings,
            self,
            batch=self.options.batch,
            ahead=Ahead(self.options.ahead, self.options.ahead_bytes),
            earliest=conf.consumer_auto_offset_reset == "earliest",
        )
        self.hands = Hands()
        self._rebalance = Rebalance(app, self._fetching, self.flights, self.commits, self.hands, self._announce)
        self.account = Account(app, self.flights, self.commits, self.hands, self._rebalance.void)
        self._delivery = Delivery(app, self._fetching, self.account, self.callback)
        self.health = Health(app, self._fetching, self.account, self._rebalance)
        self._subscribed: frozenset[str] = frozenset()

    async def on_start(self) -> None:
        conf = self.app.conf
        if conf.topic_allow_declare:
            letters = letters_of(self.app)
            await self.producer.create_topic(letters, conf.topic_partitions, conf.topic_replication_factor)
        look_less(cast(Any, self.app).engine.young_objects)
        self._fetching.start()
        self.health.start()
        await super().on_start()

    async def on_stop(self) -> None:
        await super().on_stop()
        self._rebalance.is_leaving = True
        self.health.stop()
        await self._fetching.stop()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """The same topics again mean new channels: librdkafka would not rejoin for them, and Faust relies on that."""
        wanted = frozenset(topics)
        if wanted == self._subscribed:
            await self.app.topics.on_partitions_assigned(self.assignment() | self.app.assignor.assigned_actives())
            self._delivery.forget_readers()
            return
        self._subscribed = wanted
        self._fetching.subscribe(wanted)

    # What the fetching thread tells.

    def arrived(self) -> None:
        self._delivery.arrived()

    def assigned(self, offsets: Mapping[TP, int]) -> None:
        self._rebalance.assigned(offsets)

    async def revoked(self, partitions: set[TP], lost: bool) -> None:
        await self._rebalance.revoked(partitions, lost)

    def failed(self, reason: str) -> None:
        self.options.ends(reason)

    async def _announce(self, held: set[TP], assignment: int) -> None:
        self._delivery.forget_readers()
        assignor = cast(Any, self.app.assignor)
        assignor.on_assigned(held)
        await self.on_partitions_assigned(held | assignor.assigned_actives(), assignment)

    async def start_partitions(self, assignment: int) -> bool:
        """The tables of that assignment are whole. False if there was a rebalance since."""
        return await self._rebalance.start(assignment)

    @Service.task
    async def _look_at_health(self) -> None:
        await self.health.run(self.sleep, lambda: self.should_stop)

    @Service.task
    async def _commit_handler(self) -> None:
        """Faust's timer would warn of each commit that takes longer than the time between two of them."""
        while not self.should_stop:
            await self.sleep(self.commit_interval)
            await self.commit()

    # What agents and steps do with it.

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetcher takes its own end for a crash while the group divides its partitions anew."""
        try:
            await self._delivery.run(lambda: self._stopped.is_set() or fetcher._stopped.is_set(), self._may_flow)
        except asyncio.CancelledError:
            if not fetcher._stopped.is_set():
                raise

    async def _may_flow(self) -> None:
        if not self.flow_active:
            await self.can_resume_flow.wait()

    def ack(self, message: Any) -> bool:
        """Whether it counted."""
        return self.account.ack(message)

    def event_failed(self, message: Any, offset: int, error: BaseException) -> bool:
        """An agent raised in the middle of an event. Whether the event is to be handed to it again, at once."""
        return self.account.failed(message, offset, error)

    def dead_letter(self, tp: TP, offset: int, key: Any, value: Any, error: BaseException) -> None:
        """Gives a record up."""
        self.account.dead_letter(tp, offset, key, value, error)

    def watch(self, watcher: Watcher) -> None:
        """Tells it from now on."""
        if watcher not in self.account.watchers:
            self.account.watchers.append(watcher)
            self._rebalance.on_void.append(watcher.voided)

    @property
    def is_idle(self) -> bool:
        """Partitions were given out (there may be none for this worker), and all that came of them is done."""
        return self._rebalance.is_running and self.flights.is_idle and not self._fetching.backlog

    @property
    def blame(self) -> Blame[TP]:
        return self.account.blame

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Does nothing while a commit is under way, or without a group."""
        if self.app.client_only or self._rebalance.turn.locked():
            return False
        async with self._rebalance.turn:
            return await self.commits.commit()

    async def wait_empty(self) -> None:
        async with self._rebalance.turn:
            self._rebalance.void()
            await self.commits.settle()

    async def commit_and_end_transactions(self) -> None:
        await self.wait_empty()

    # What a commit asks for (`commits.Work`).

    @property
    def producer(self) -> Producer:
        return cast(Producer, self.app.producer)

    def stores(self) -> Sequence[Store]:
        stores = (getattr(table, "_data", None) for table in self.app.tables.values())
        return [cast(Store, store) for store in stores if hasattr(store, "write_changes")]

    def running(self) -> int:
        return self.account.running()

    @property
    def has_half_done(self) -> bool:
        return self.hands.has_half_done

    def committed(self, offsets: Mapping[TP, int], epoch_s: float, commit_s: float) -> None:
        self.account.committed(offsets, epoch_s, commit_s)
        self._committed_offset.update(offsets)
        self.app.monitor.on_tp_commit(dict(offsets))

    def aborted(self, reason: str) -> None:
        self.account.aborted(reason)

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> None:
        """Raises KafkaException, also where Kafka took only some of them: it counts none then."""
        places = [TopicPartition(*tp, offset) for tp, offset in offsets.items()]
        if not places:
            return
        answers = await self._fetching.ask(lambda client: client.commit(offsets=places, asynchronous=False))
        if refused := [place.error for place in answers or () if place.error is not None]:
            raise KafkaException(refused[0])

    async def group(self) -> Any:
        return await self._fetching.ask(lambda client: client.consumer_group_metadata())

    def drop_waiting(self) -> None:
        self._rebalance.drop_waiting()

    async def rewind(self) -> None:
        await self._rebalance.rewind()

    # What Faust asks of a consumer besides.

    def assignment(self) -> set[TP]:
        return set(self._rebalance.held)

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
        number = self.producer.key_partition(topic, key).partition
        return number if number >= 0 else None

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        await self.producer.create_topic(topic, partitions, replication, **options)

    async def position(self, tp: TP) -> int | None:
        return self.flights.position(tp)

    async def perform_seek(self) -> None:
        """Where to read is said at the assignment."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return {tp: self.flights.position(tp) or 0 for tp in self._rebalance.held}

    async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
        return {tp: low for tp, (low, _) in (await self._bounds(tps)).items()}

    async def highwaters(self, *tps: TP) -> Mapping[TP, int]:
        return {tp: high for tp, (_, high) in (await self._bounds(tps)).items()}

    async def _bounds(self, tps: Iterable[TP]) -> dict[TP, tuple[int, int]]:
        return await self._fetching.ask(lambda client: {tp: bounds(client, tp) for tp in tps})

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        raise NotImplementedError("see commits")

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        raise NotImplementedError("see delivering")

    def _to_message(self, tp: TP, record: Any) -> Any:
        raise NotImplementedError("see delivering")

    def _new_topicpartition(self, topic: str, partition: int) -> Any:
        return TopicPartition(topic, partition)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        raise NotImplementedError("a position is moved with an assignment")

    async def _seek(self, partition: TP, offset: int) -> None:
        raise NotImplementedError("a position is moved with an assignment")
