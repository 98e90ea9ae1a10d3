"""What Faust's own tests ask of a consumer and a producer, where it is promised here too and no other test of ours asks
for it. `docs/faust-conformance.md` has the whole list."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from faust.exceptions import ImproperlyConfigured
from faust.types import TP, ConsumerMessage

from mainstem.process.librdkafka import App
from mainstem.process.librdkafka.account import Account
from mainstem.process.librdkafka.assign import Assignor
from mainstem.process.librdkafka.at_least_once import AtLeastOnce
from mainstem.process.librdkafka.delivering import Delivery
from mainstem.process.librdkafka.fetching import Fetched
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.hands import Hands
from mainstem.process.librdkafka.membership import Membership
from mainstem.process.librdkafka.murmur2 import murmur2
from mainstem.process.librdkafka.options import EngineOptions
from mainstem.process.librdkafka.rebalancing import Rebalance
from mainstem.process.librdkafka.topics import Topics
from mainstem.process.librdkafka.transaction import ProducerFailed

BROKER = "librdkafka://127.0.0.1:9"
ORDERS, PAYMENTS, REFUNDS = TP("orders", 0), TP("payments", 1), TP("refunds", 0)


# Which events of a stream are acknowledged.


class Reading:
    """A stream of numbers with an account behind it, from offset 0 on."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.app = cast(Any, App("a", broker=BROKER))
        self.app.flow_control.resume()
        flights: Flights[TP] = Flights()
        flights.restart(gained={ORDERS: 0})
        self.account = Account(self.app, flights, AtLeastOnce(cast(Any, None)), Hands(), lambda: None)
        pressure = {"on_buffer_full": lambda _: None, "on_buffer_drop": lambda _: None}
        self.app.consumer = SimpleNamespace(account=self.account, ack=self.account.ack, **pressure)
        self.app.consumer_generation_id = flights.generation
        self.app.topics._acking_topics.add("orders")
        channel = self.app.channel()
        self.stream = channel.stream()
        for offset, number in enumerate(numbers):
            message: Any = ConsumerMessage(
                "orders", 0, offset, 0.0, 1, {}, None, b"n", None, tp=ORDERS, generation_id=flights.generation
            )
            message.incref()
            self.account.delivered(message, offset + 1)
            self.stream.channel.queue.put_nowait(self.app.create_event(None, number, {}, message))

    @property
    def done(self) -> int:
        """The offset that may be committed."""
        return self.account.flights.due().get(ORDERS, 0)


async def test_an_event_is_acknowledged_when_the_next_one_is_asked_for() -> None:
    reading = Reading([1, 2, 3])
    steps = aiter(reading.stream)
    done_before = []
    for _ in range(3):
        await anext(steps)
        done_before.append(reading.done)
    assert done_before == [0, 1, 2]


async def test_what_a_filter_leaves_out_is_acknowledged_too() -> None:
    reading = Reading([0, 1, 0, 3])
    steps = aiter(reading.stream.filter(bool))
    assert [await anext(steps), await anext(steps)] == [1, 3]
    assert reading.done == 3


async def test_an_event_whose_reader_raised_is_not_acknowledged() -> None:
    reading = Reading([1, 2])
    steps = cast(Any, aiter(reading.stream))
    await anext(steps)
    with pytest.raises(RuntimeError):
        await steps.athrow(RuntimeError())
    assert reading.done == 0


async def test_whoever_acknowledges_by_hand_decides_when() -> None:
    reading = Reading([1, 2])
    steps = aiter(reading.stream.noack().events())
    first, second = await anext(steps), await anext(steps)
    assert reading.done == 0
    second.ack()
    assert reading.done == 0, "what is before it is not done"
    first.ack()
    assert reading.done == 2


async def test_a_group_of_events_is_acknowledged_when_it_was_taken_with_what_was_left_out() -> None:
    reading = Reading([1, 0, 2])
    async for group in reading.stream.filter(bool).take(2, within=5):
        assert group == [1, 2]
        assert reading.done == 0
        break
    for _ in range(20):
        await asyncio.sleep(0)
    assert reading.done == 3
    await reading.stream.stop()


# What is delivered.


class Record:
    """As the library hands it over."""

    def __init__(self, offset: int, headers: Any = None) -> None:
        self._offset, self._headers = offset, headers

    def offset(self) -> int:
        return self._offset

    def key(self) -> None: ...

    def value(self) -> bytes:
        return b"v"

    def headers(self) -> Any:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return 1, 1500


class Delivering:
    """Two records, to agents that are done with none."""

    def __init__(self, *, readers: int = 1) -> None:
        app: Any = SimpleNamespace(
            engine=EngineOptions(),
            topics=SimpleNamespace(_tp_index={}),
            _reply_consumer=SimpleNamespace(_fetchers=()),
        )
        self.flights: Flights[TP] = Flights()
        self.flights.restart(gained={ORDERS: 0})
        self.account = Account(app, self.flights, AtLeastOnce(cast(Any, None)), Hands(), lambda: None)
        fetched = deque([Fetched(self.flights.generation, ORDERS, [Record(0, [("h", b"1")]), Record(1)], 2)])
        take: Any = SimpleNamespace(take=lambda: fetched.popleft() if fetched else None, done=lambda _: None)
        self._readers = readers
        self.messages: list[Any] = []
        self.flows = asyncio.Event()
        self.flows.set()
        self._delivery = Delivery(app, take, self.account, self._deliver)

    async def _deliver(self, message: Any) -> None:
        if self._readers:
            message.incref(self._readers)
        self.messages.append(message)
        self.after_each()

    def after_each(self) -> None: ...

    async def run(self) -> None:
        async def may_flow() -> None:
            await self.flows.wait()

        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await self._delivery.run(lambda: False, may_flow)


async def test_a_message_has_its_records_parts_and_its_time_in_seconds() -> None:
    scene = Delivering()
    await scene.run()
    first, second = scene.messages
    assert (first.tp, first.offset, first.key, first.value) == (ORDERS, 0, None, b"v")
    assert (first.timestamp, first.headers, second.headers) == (1.5, {"h": b"1"}, {})


async def test_what_nobody_reads_is_done() -> None:
    scene = Delivering(readers=0)
    await scene.run()
    assert scene.flights.due() == {ORDERS: 2}


async def test_while_faust_lets_nothing_through_nothing_is_delivered_and_nothing_is_lost() -> None:
    scene = Delivering()
    scene.flows.clear()
    running = asyncio.create_task(scene.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert scene.messages == []
    scene.flows.set()
    await running
    assert [message.offset for message in scene.messages] == [0, 1]


async def test_what_was_fetched_before_a_rebalance_is_not_delivered_after_it() -> None:
    scene = Delivering()
    scene.after_each = scene.flights.rewind  # type: ignore[method-assign,assignment]
    await scene.run()
    assert [message.offset for message in scene.messages] == [0]


async def test_nothing_of_a_partition_that_has_left_is_delivered() -> None:
    scene = Delivering()
    scene.flights._flights.clear()
    await scene.run()
    assert scene.messages == []


class Readers:
    """Streams of one topic, each of which takes other values, and three records: the second is no JSON."""

    def __init__(self, *types: Any) -> None:
        self._reading = Reading([])
        app = self._reading.app
        self.letters: list[Any] = []
        app.producer = SimpleNamespace(
            buffer=SimpleNamespace(wait_until_ebb=self._ebb), write=lambda *record: self.letters.append(record)
        )
        codecs = {int: "json", bytes: "raw"}
        self.streams = [app.topic("orders", value_type=kind, value_serializer=codecs[kind]).stream() for kind in types]
        for stream in self.streams:
            app.topics._tp_index[ORDERS].add(stream.channel)
        app.topics._update_callback_map()

    async def _ebb(self) -> None: ...

    async def deliver(self) -> None:
        for offset, value in enumerate((b"1", b"no json", b"3")):
            message: Any = ConsumerMessage(
                "orders", 0, offset, 0.0, 1, {}, b"k", value, None, tp=ORDERS, generation_id=1
            )
            self._reading.account.delivered(message, offset + 1)
            await self._reading.app.topics.on_message(message)

    @property
    def done(self) -> int:
        return self._reading.done


async def test_a_record_that_cannot_be_decoded_is_a_dead_letter_in_its_turn_and_the_next_one_comes() -> None:
    readers = Readers(int)
    await readers.deliver()
    steps = aiter(readers.streams[0])
    assert await anext(steps) == 1
    assert (readers.letters, readers.done) == ([], 0)
    assert await anext(steps) == 3
    assert [record[:3] for record in readers.letters] == [("a-dead-letters", b"k", b"no json")]
    assert readers.done == 2


@pytest.mark.parametrize("types", [(int, bytes, bytes, bytes, bytes), (bytes, bytes, int), (int, int)])
async def test_a_record_that_one_reader_cannot_decode_is_one_dead_letter_and_reaches_the_others(types: Any) -> None:
    readers = Readers(*types)
    await readers.deliver()
    for kind, stream in zip(types, readers.streams, strict=True):
        steps = aiter(stream)
        expected = [1, 3] if kind is int else [b"1", b"no json", b"3"]
        assert [await anext(steps) for _ in expected] == expected
    assert len(readers.letters) == 1
    assert readers.done == 2


@pytest.mark.parametrize(("within", "fits"), [(1.0, True), (8.0, False), (0, False)])
async def test_what_is_taken_for_longer_than_a_commit_waits_is_refused(within: float, fits: bool) -> None:
    app = App("a", broker=BROKER, processing_guarantee="exactly_once", engine=EngineOptions(member="w1"))
    app.in_worker = True
    stream: Any = app.topic("orders").stream()
    if fits:
        stream.take(10, within)
        return
    for take in (stream.take, stream.take_events):
        with pytest.raises(ImproperlyConfigured, match="drain_s"):
            take(10, within)


def test_an_event_is_not_blamed_for_what_the_producer_did_not_take() -> None:
    reading = Reading([1])
    event = reading.stream.channel.queue.get_nowait()
    assert reading.account.failed(event.message, 0, ProducerFailed("full")), "it is to be done again"
    assert reading.done == 0


# Commits at least once.


class Worker:
    """What a commit asks of the consumer: two partitions, with events under way."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.options = EngineOptions(drain_s=0.05, ends=lambda reason: self.calls.append(("ends", reason)))
        self.flights: Flights[TP] = Flights()
        self.flights.restart(gained={ORDERS: 10, PAYMENTS: 20})
        for tp, first in ((ORDERS, 10), (PAYMENTS, 20)):
            for offset in range(first, first + 3):
                self.flights.deliver(tp, offset, offset + 1)
        self.in_hand = 0
        self.error: Exception | None = None
        self.during_flush: Callable[[], object] = lambda: None
        self.producer: Any = SimpleNamespace(flush=self._flush, ends=self._ends)
        self.commits = AtLeastOnce(cast(Any, self))

    def done(self, tp: TP, *offsets: int) -> None:
        for offset in offsets:
            self.flights.acknowledge(tp, offset, self.flights.generation)

    def stores(self) -> Sequence[Any]:
        return []

    def running(self) -> int:
        return self.in_hand

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> None:
        self.calls.append(("offsets", offsets))
        if self.error is not None:
            raise self.error

    def committed(self, offsets: Mapping[TP, int], epoch_s: float, commit_s: float) -> None:
        self.flights.committed(offsets)

    async def _flush(self) -> None:
        self.calls.append("flush")
        self.during_flush()

    async def _ends(self, changelogs: Sequence[TP]) -> Mapping[TP, int]:
        return {}


async def test_several_partitions_are_committed_in_one_call_each_up_to_its_first_gap_and_after_the_outputs() -> None:
    worker = Worker()
    worker.done(ORDERS, 10, 12)
    worker.done(PAYMENTS, 20, 21, 22)
    assert await worker.commits.commit()
    assert worker.calls == ["flush", ("offsets", {ORDERS: 11, PAYMENTS: 23})]


async def test_where_nothing_new_is_done_kafka_is_not_asked() -> None:
    worker = Worker()
    assert not await worker.commits.commit()
    worker.done(ORDERS, 10)
    assert await worker.commits.commit()
    assert not await worker.commits.commit()
    assert len(worker.calls) == 2


async def test_offsets_that_kafka_refuses_are_committed_the_next_time() -> None:
    worker = Worker()
    worker.done(ORDERS, 10)
    worker.error = KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
    assert not await worker.commits.commit()
    worker.error = None
    assert await worker.commits.commit()
    assert worker.calls[-1] == ("offsets", {ORDERS: 11})


async def test_a_partition_that_leaves_while_outputs_are_confirmed_is_not_committed() -> None:
    worker = Worker()
    worker.done(ORDERS, 10)
    worker.done(PAYMENTS, 20)
    worker.during_flush = lambda: worker.flights.restart(gained={}, left=[ORDERS])
    assert await worker.commits.commit()
    assert worker.calls[-1] == ("offsets", {PAYMENTS: 21})


async def test_a_worker_whose_output_was_refused_commits_nothing_and_ends() -> None:
    worker = Worker()
    worker.done(ORDERS, 10)

    def refused() -> None:
        raise ProducerFailed("refused")

    def end(reason: str) -> None:
        raise SystemExit(reason)

    worker.during_flush = refused
    worker.options = EngineOptions(ends=end)
    with pytest.raises(SystemExit, match="refused"):
        await worker.commits.commit()
    assert worker.calls == ["flush"]


async def test_before_partitions_are_left_what_has_begun_is_finished_and_committed() -> None:
    worker = Worker()
    worker.options = EngineOptions()
    worker.in_hand = 1
    leaving = asyncio.create_task(worker.commits.settle())
    await asyncio.sleep(0.01)
    assert worker.calls == []
    worker.done(ORDERS, 10)
    worker.in_hand = 0
    assert await leaving
    assert worker.calls[-1] == ("offsets", {ORDERS: 11})


async def test_partitions_are_left_without_what_does_not_finish() -> None:
    worker = Worker()
    worker.in_hand = 1
    worker.done(ORDERS, 10)
    assert await worker.commits.settle()
    assert worker.calls[-1] == ("offsets", {ORDERS: 11})


# Partitions that come and go.


class Group:
    """A worker with two partitions, one event of each of which waits."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.flights: Flights[TP] = Flights()
        self.flights.restart(gained={ORDERS: 10, PAYMENTS: 20})
        for tp, offset in ((ORDERS, 10), (PAYMENTS, 20)):
            self.flights.deliver(tp, offset, offset + 1)
        app: Any = SimpleNamespace(
            on_rebalance_start=lambda: None,
            rebalancing=True,
            flow_control=SimpleNamespace(clear=lambda: None),
            tables=SimpleNamespace(on_partitions_revoked=lambda tps: self.calls.append(("tables", tps))),
            on_partitions_revoked=SimpleNamespace(send=self._nothing),
        )
        fetching: Any = SimpleNamespace(take=lambda: None, restart=self._restart)
        commits: Any = SimpleNamespace(settle=self._settle, lose=self._lose)
        self.rebalance = Rebalance(app, fetching, self.flights, commits, Hands(), self._announce)
        self.rebalance.held = {ORDERS, PAYMENTS}
        self.rebalance.is_running = True

    async def _nothing(self, _: Any) -> None: ...

    async def _restart(self, generation: int, offsets: Mapping[TP, int], running: Iterable[TP]) -> None:
        self.calls.append(("read", dict(offsets), set(running)))

    async def _settle(self) -> None:
        self.calls.append(("settle", set(self.rebalance.held)))

    async def _lose(self) -> None:
        self.calls.append("lose")

    async def _announce(self, held: set[TP], assignment: int) -> None:
        self.assignment = assignment


async def test_partitions_are_settled_before_they_are_left_and_the_others_go_on_from_what_is_committed() -> None:
    group = Group()
    await group.rebalance.revoked({ORDERS}, lost=False)
    assert group.calls == [
        ("settle", {ORDERS, PAYMENTS}),
        ("read", {PAYMENTS: 20}, {PAYMENTS}),
        ("tables", {ORDERS}),
    ]
    assert not group.flights.acknowledge(PAYMENTS, 20, 1), "what waited is delivered anew"


async def test_of_partitions_that_belong_to_others_already_nothing_is_committed() -> None:
    group = Group()
    await group.rebalance.revoked({ORDERS, PAYMENTS}, lost=True)
    assert group.calls == ["lose", ("tables", {ORDERS, PAYMENTS})]
    assert not group.rebalance.is_assigned


async def test_partitions_run_when_the_tables_of_the_newest_assignment_are_whole() -> None:
    group = Group()
    await group.rebalance._take_over({REFUNDS: 5})
    assert group.calls[-1] == ("read", {ORDERS: 10, PAYMENTS: 20}, set()), "nothing runs meanwhile"
    first = group.assignment
    await group.rebalance.revoked({ORDERS}, lost=False)
    assert not await group.rebalance.start(first)
    await group.rebalance._take_over({ORDERS: 10})
    assert await group.rebalance.start(group.assignment)
    assert group.calls[-1] == ("read", {}, {ORDERS, PAYMENTS, REFUNDS})


# Where partitions are read from, and where changelogs belong.


class Client:
    """A consumer of the library that knows what is committed, and where partitions begin and end."""

    def __init__(self, committed: int, error: KafkaError | None = None) -> None:
        self._committed, self._error = committed, error
        self.starts: list[int] = []
        self.paused: list[str] = []

    def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[Any]:
        return [
            SimpleNamespace(topic=place.topic, partition=place.partition, offset=self._committed, error=self._error)
            for place in places
        ]

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        return 5, 90

    def assign(self, places: Sequence[TopicPartition]) -> None:
        self.starts += [place.offset for place in places]

    def pause(self, places: Sequence[TopicPartition]) -> None:
        self.paused += [place.topic for place in places]


def joined(client: Client, *, earliest: bool) -> Mapping[TP, int]:
    """What the loop is told of a first assignment."""
    told: list[Any] = []
    thread = cast(Any, SimpleNamespace(post=lambda call: call()))
    listener = cast(Any, SimpleNamespace(assigned=told.append))
    membership = Membership(thread, listener, earliest=earliest, is_incremental=False)
    membership._assign_begins(cast(Any, client), [TopicPartition("orders", 0)])
    (offsets,) = told
    return cast(Mapping[TP, int], offsets)


@pytest.mark.parametrize(
    ("committed", "earliest", "start"), [(42, True, 42), (0, False, 0), (-1001, True, 5), (-1001, False, 90)]
)
def test_a_partition_is_read_on_from_its_committed_offset_or_from_where_the_app_says(
    committed: int, earliest: bool, start: int
) -> None:
    client = Client(committed)
    assert joined(client, earliest=earliest) == {ORDERS: start}
    assert client.starts == [start]
    assert client.paused == ["orders"], "until its tables are whole"


def test_a_partition_whose_committed_offset_is_not_known_is_not_read_from_anywhere() -> None:
    client = Client(-1001, KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException):
        joined(client, earliest=True)
    assert client.starts == []


def test_a_changelogs_partitions_follow_those_of_the_topics_with_as_many() -> None:
    counts = {"orders": 3, "refunds": 1, "a-totals-changelog": 3}
    app = SimpleNamespace(
        transport=SimpleNamespace(admin=SimpleNamespace(partitions=counts.get)),
        tables=SimpleNamespace(changelog_topics={"a-totals-changelog"}),
    )
    assignor = Assignor(app)
    assignor.on_assigned({TP("orders", 2), REFUNDS})
    assert assignor.assigned_actives() == {TP("orders", 2), REFUNDS, TP("a-totals-changelog", 2)}
    assert assignor.assigned_standbys() == set()


async def test_nothing_is_committed_by_a_client_alone_or_in_the_middle_of_a_rebalance() -> None:
    app = App("a", broker=BROKER)
    consumer: Any = app.consumer
    commits: list[None] = []

    async def commit() -> bool:
        commits.append(None)
        return True

    consumer.commits = SimpleNamespace(commit=commit)
    app.client_only = True
    assert not await consumer.commit()
    app.client_only = False
    async with consumer._rebalance.turn:
        assert not await consumer.commit()
    assert commits == []
    assert await consumer.commit()


# Topics.


class Admin:
    """Of the library: a cluster with one topic, which refuses another with that name."""

    def __init__(self, error: int | None = None) -> None:
        self._error = error
        self.asked: list[Any] = []

    def create_topics(self, topics: Sequence[Any]) -> dict[str, Future[None]]:
        self.asked += topics
        outcome: Future[None] = Future()
        if self._error is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(KafkaException(KafkaError(self._error)))
        return {topics[0].topic: outcome}

    def list_topics(self, topic: str, timeout: float) -> Any:
        found = SimpleNamespace(error=None, partitions={0: None, 1: None, 2: None})
        return SimpleNamespace(topics={"orders": found})


def topics_of(admin: Admin) -> Topics:
    topics = Topics({})
    topics._client = cast(Any, admin)
    return topics


async def test_a_topic_is_made_as_the_app_says() -> None:
    admin = Admin()
    options = {"config": {"max.message.bytes": 9}, "compacting": True, "deleting": True, "retention": 30.0}
    await topics_of(admin).create("orders", 3, 2, **options)
    (new,) = admin.asked
    assert (new.topic, new.num_partitions, new.replication_factor) == ("orders", 3, 2)
    assert new.config == {"max.message.bytes": "9", "cleanup.policy": "compact,delete", "retention.ms": "30000"}


async def test_a_topic_that_is_there_already_is_no_error_and_any_other_answer_is() -> None:
    await topics_of(Admin(KafkaError.TOPIC_ALREADY_EXISTS)).create("orders", 3, 1)
    with pytest.raises(KafkaException):
        await topics_of(Admin(KafkaError.TOPIC_AUTHORIZATION_FAILED)).create("orders", 3, 1)


def test_a_key_has_its_partition_and_one_that_is_said_goes_first() -> None:
    app = App("a", broker=BROKER)
    cast(Any, app.transport).admin = topics_of(Admin())
    consumer: Any = app.consumer
    keys = [b"k%d" % number for number in range(20)]
    chosen = [consumer.key_partition("orders", key) for key in keys]
    assert chosen == [murmur2(key) % 3 for key in keys]
    assert consumer.key_partition("orders", b"k", 7) == 7
    assert consumer.key_partition("orders", None) is None
    assert app.producer.key_partition("orders", b"k") == TP("orders", murmur2(b"k") % 3)
    assert consumer.key_partition("nowhere", b"k") is None


async def test_offsets_of_which_kafka_refuses_some_do_not_count() -> None:
    consumer = cast(Any, App("a", broker=BROKER)).consumer
    refusal = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    async def ask(what: Any) -> Any:
        return what(SimpleNamespace(commit=lambda **_: [SimpleNamespace(error=None), SimpleNamespace(error=refusal)]))

    consumer._fetching.ask = ask
    with pytest.raises(KafkaException):
        await consumer.commit_offsets({ORDERS: 1, PAYMENTS: 1})
