"""What is told of an event's end, with a real account and a commit that is told nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP, ConsumerMessage

from mainstem.process.librdkafka.account import Account
from mainstem.process.librdkafka.at_least_once import AtLeastOnce
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.hands import Hands
from mainstem.process.librdkafka.observing import Observer
from mainstem.process.librdkafka.options import EngineOptions
from mainstem.process.librdkafka.transaction import ProducerFailed

ORDERS = TP("orders", 3)


class Told(Observer):
    def __init__(self) -> None:
        self.commits: list[int] = []
        self.aborts: list[str] = []
        self.letters: list[tuple[TP, int]] = []

    def committed(self, events: int, epoch_s: float, commit_s: float) -> None:
        self.commits.append(events)

    def aborted(self, reason: str) -> None:
        self.aborts.append(reason)

    def dead_lettered(self, partition: TP, offset: int, error: BaseException) -> None:
        self.letters.append((partition, offset))


class Record:
    """One of a batch."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def __len__(self) -> int:
        return 10

    def offset(self) -> int:
        return self._offset


def opened(**options: Any) -> tuple[Account, Told, list[Any]]:
    told = Told()
    written: list[Any] = []
    producer = SimpleNamespace(write=lambda *record: written.append(record))
    app = SimpleNamespace(
        engine=EngineOptions(observer=told, **options), producer=producer, conf=SimpleNamespace(id="billing")
    )
    flights: Flights[TP] = Flights()
    flights.restart(gained={ORDERS: 0})
    account = app.consumer = Account(app, flights, AtLeastOnce(cast(Any, None)), Hands(), lambda: None)
    return account, told, written


def test_an_event_is_not_begun_while_a_commit_does_not_wait_for_it_unless_it_leaves_nothing_before_its_end() -> None:
    account, _, _ = opened()
    late, early = message(account, 0, b""), message(account, 1, b"")
    assert account.begin(early)
    account.commits = cast(Any, SimpleNamespace(takes_on=False))
    assert not account.begin(late)
    assert list(account.hands._open) == [early]
    account.flights.deferred.add(ORDERS)
    assert account.begin(late)


def message(account: Account, offset: int, value: Any) -> Any:
    generation = account.flights.generation
    return ConsumerMessage("orders", 3, offset, 0.0, 0, {}, b"k", value, None, tp=ORDERS, generation_id=generation)


def give(account: Account, offset: int, value: Any, events: int = 1) -> None:
    account.delivered(message(account, offset, value), offset + events)


def test_a_commit_tells_how_many_events_are_done_those_of_batches_each() -> None:
    account, told, _ = opened()
    for offset, value, events in ((0, b"one", 1), (1, [b"two", b"three", b"four"], 3)):
        give(account, offset, value, events)
        account.ack(message(account, offset, value))
    account.committed({ORDERS: 4}, 0.2, 0.1)
    account.committed({ORDERS: 4}, 0.2, 0.1)
    assert told.commits == [4, 0]
    assert account.commits_made == 2


def test_what_was_aborted_is_not_counted_as_done() -> None:
    account, told, _ = opened()
    give(account, 0, b"one")
    account.ack(message(account, 0, b"one"))
    account.aborted("Kafka refused it")
    account.committed({}, 0.0, 0.0)
    assert (told.aborts, told.commits) == (["Kafka refused it"], [0])


def test_an_event_of_an_earlier_generation_does_not_count() -> None:
    account, told, _ = opened()
    give(account, 0, b"one")
    late = message(account, 0, b"one")
    account.flights.rewind()
    assert not account.ack(late)
    account.committed({}, 0.0, 0.0)
    assert told.commits == [0]


def test_a_batch_under_way_moves_on_with_each_record_and_counts_only_while_it_is_there() -> None:
    account, _, _ = opened()
    assert account.waiting() == {}
    give(account, 0, [b"one", b"two", b"three"], 3)
    first = account.waiting()
    account.advanced(ORDERS, 1)
    assert account.waiting() != first
    account.ack(message(account, 0, [b"one", b"two", b"three"]))
    assert account.waiting() == {ORDERS: (0, 1)}, "done, and not committed"
    account.committed({ORDERS: 3}, 0.0, 0.0)
    assert account.waiting() == {}


def leaving(done: int, readers: int = 1) -> tuple[Account, Any]:
    account, _, _ = opened()
    batch: Any = [Record(offset) for offset in (0, 5, 9)]
    shared = message(account, 0, batch)
    shared.incref(readers)
    account.delivered(shared, 10)
    for _ in range(readers):
        account.begin(shared)
    account.commits = cast(Any, SimpleNamespace(takes_on=False, acknowledged=lambda: None))
    if account.leaves(shared):
        account.left(shared, done)
    for _ in range(readers):
        shared.ack(account)
    return account, account.flights.due()


def test_of_a_batch_that_was_left_what_is_done_may_be_committed_and_the_rest_stays_open() -> None:
    account, due = leaving(done=2)
    assert due == {ORDERS: 9}
    assert (account.running(), account.flights.outstanding, account.flights.has_gap) == (0, 1, False)


def test_of_a_batch_that_was_left_before_its_first_record_nothing_is_done() -> None:
    account, due = leaving(done=0)
    assert due == {}
    assert (account.running(), account.flights.outstanding, account.flights.has_gap) == (0, 1, False)


def test_a_batch_that_several_agents_read_is_finished() -> None:
    _, due = leaving(done=2, readers=2)
    assert due == {ORDERS: 10}


def test_a_record_that_one_agent_gives_up_is_done_when_the_other_agents_are() -> None:
    account, _, _ = opened()
    give(account, 0, b"one")
    shared = message(account, 0, b"one")
    shared.incref(2)
    for _ in range(2):
        account.hands.take(shared)
    account.failed(shared, 0, ValueError("poison"))
    assert account.running() == 1
    assert account.flights.due() == {}
    shared.ack(account)
    assert account.running() == 0
    assert account.flights.due() == {ORDERS: 1}


def test_a_record_that_cannot_be_decoded_is_one_dead_letter_also_where_the_first_was_not_taken() -> None:
    account, told, written = opened()
    give(account, 0, b"one")
    shared = message(account, 0, b"one")
    working = account._app.producer

    def refuse(*record: Any) -> None:
        raise ProducerFailed("full")

    account._app.producer = SimpleNamespace(write=refuse)
    with pytest.raises(ProducerFailed):
        account.refuse(shared, ValueError("no json"))
    account._app.producer = working
    for _ in range(2):
        account.refuse(shared, ValueError("no json"))
    assert [record[2] for record in written] == [b"one"]
    assert told.letters == [(ORDERS, 0)]


def test_a_record_that_is_given_up_is_written_and_told() -> None:
    account, told, written = opened()
    give(account, 0, b"one")
    assert not account.failed(message(account, 0, b"one"), 0, ValueError("poison"))
    assert told.letters == [(ORDERS, 0)]
    assert [record[:3] for record in written] == [("billing-dead-letters", b"k", b"one")]
    assert account.flights.due() == {ORDERS: 1}


async def test_whoever_waits_for_slow_agents_goes_on_when_one_of_them_is_done() -> None:
    account, _, _ = opened(ahead=2)
    give(account, 0, [b"one", b"two"], 2)
    assert account.is_full
    waiting = asyncio.ensure_future(account.eased())
    await asyncio.sleep(0)
    account.ack(message(account, 0, [b"one", b"two"]))
    await waiting
    assert not account.is_full


async def test_agents_that_hold_what_is_void_hold_up_nobody() -> None:
    account, _, _ = opened(ahead_bytes=4)
    give(account, 0, b"four")
    assert account.is_full
    account.flights.rewind()
    await account.eased()
    assert not account.is_full
