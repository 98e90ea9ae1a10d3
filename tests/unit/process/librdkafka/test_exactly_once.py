"""When an epoch is committed and when it is aborted; Kafka's side says yes to everything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from faust.types import TP

from mainstem.process.librdkafka.commits import Store
from mainstem.process.librdkafka.epoch import Told
from mainstem.process.librdkafka.exactly_once import ExactlyOnce
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.options import EngineOptions

ORDERS = TP("orders", 3)


class Worker:
    """What a commit asks of the consumer, with three events of one partition under way."""

    def __init__(self) -> None:
        self.options = EngineOptions(drain_s=2.0, ends=self._end)
        self.flights: Flights[TP] = Flights()
        self.flights.restart(gained={ORDERS: 0})
        self.told = Told.COMMITTED
        self.in_hand = 0
        self.has_half_done = False
        self.commits: list[tuple[Mapping[TP, int], float, float]] = []
        self.aborts: list[str] = []
        self.rewinds = 0
        self.dropped = asyncio.Event()
        self.ends: list[str] = []
        self.took_on: list[bool] = []
        transactions = SimpleNamespace(is_open=True, commit=self._commit, abort=self._abort)
        self.producer: Any = SimpleNamespace(transactions=transactions, ends=self._ends)
        self.epochs = ExactlyOnce(cast(Any, self))
        self.deliver(0, 3)

    def deliver(self, first: int, count: int) -> None:
        for offset in range(first, first + count):
            self.flights.deliver(ORDERS, offset, offset + 1)
            self.epochs.delivered(1)

    def done(self, offset: int) -> None:
        self.flights.acknowledge(ORDERS, offset, self.flights.generation)
        self.epochs.acknowledged()

    def stores(self) -> Sequence[Store]:
        return []

    def running(self) -> int:
        return self.in_hand

    async def group(self) -> None: ...

    def committed(self, offsets: Mapping[TP, int], epoch_s: float, commit_s: float) -> None:
        self.flights.committed(offsets)
        self.commits.append((offsets, epoch_s, commit_s))

    def aborted(self, reason: str) -> None:
        self.aborts.append(reason)

    def drop_waiting(self) -> None:
        assert not self.dropped.is_set(), "once is enough"
        self.dropped.set()

    async def rewind(self) -> None:
        self.rewinds += 1
        self.flights.rewind()

    async def _commit(self, offsets: Mapping[TP, int], group: Any) -> Told:
        self.producer.transactions.is_open = False
        self.took_on.append(self.epochs.takes_on)
        return self.told

    async def _ends(self, changelogs: Sequence[TP]) -> Mapping[TP, int]:
        return {}

    async def _abort(self) -> Told:
        return Told.REFUSED

    def _end(self, reason: str) -> None:
        self.ends.append(reason)


async def test_an_epoch_is_committed_when_its_last_event_is_done() -> None:
    worker = Worker()
    commit = asyncio.create_task(worker.epochs.commit())
    for offset in range(3):
        await asyncio.sleep(0)
        assert not commit.done()
        worker.done(offset)
    assert await commit
    ((offsets, epoch_s, commit_s),) = worker.commits
    assert offsets == {ORDERS: 3}
    assert epoch_s >= commit_s >= 0
    assert worker.aborts == []


async def test_partitions_are_left_with_what_is_done_and_without_waiting_for_what_has_not_begun() -> None:
    worker = Worker()
    worker.done(0)
    assert await worker.epochs.settle()
    assert worker.commits[0][0] == {ORDERS: 1}


async def test_no_event_is_begun_while_a_commit_is_made_that_has_not_waited_for_it() -> None:
    worker = Worker()
    worker.done(0)
    assert worker.epochs.takes_on
    assert await worker.epochs.settle()
    assert worker.took_on == [False]
    assert worker.epochs.takes_on


async def test_a_commit_that_waits_for_events_of_a_queue_which_is_dropped_meanwhile_goes_on() -> None:
    worker = Worker()
    worker.done(0)
    commit = asyncio.create_task(worker.epochs.commit())
    await asyncio.sleep(0)
    assert not commit.done()
    await worker.epochs.settle()
    assert await commit
    assert [offsets for offsets, _, _ in worker.commits] == [{ORDERS: 1}]
    assert worker.ends == []


async def test_an_event_that_only_one_of_two_agents_has_finished_is_not_committed_by_half() -> None:
    worker = Worker()
    worker.done(0)
    worker.has_half_done = True
    assert not await worker.epochs.settle()
    assert worker.commits == []
    assert worker.aborts == ["something was done beyond what was not"]


async def test_what_was_done_beyond_a_gap_is_done_again() -> None:
    worker = Worker()
    worker.done(1)
    assert not await worker.epochs.settle()
    assert worker.aborts == ["something was done beyond what was not"]


async def test_a_commit_that_kafka_refuses_is_told_and_all_is_read_again() -> None:
    worker = Worker()
    worker.told = Told.REFUSED
    for offset in range(3):
        worker.done(offset)
    assert not await worker.epochs.commit()
    assert (worker.aborts, worker.rewinds, worker.commits) == (["Kafka refused it"], 1, [])


async def test_an_event_that_failed_aborts_its_epoch_once_nobody_is_in_the_middle_of_another() -> None:
    worker = Worker()
    worker.in_hand = 1
    worker.epochs.fail()
    await asyncio.sleep(0)
    assert worker.aborts == []
    worker.in_hand = 0
    worker.epochs.acknowledged()
    await worker.epochs.has_room()
    assert (worker.aborts, worker.rewinds) == (["an event failed"], 1)


async def test_a_worker_whose_event_does_not_finish_in_time_ends() -> None:
    worker = Worker()
    worker.options = EngineOptions(drain_s=0.05, ends=worker._end)
    worker.in_hand = 1
    assert not await worker.epochs.commit()
    assert worker.ends[0] == "events have not finished for 0.05 s"
    assert worker.commits == []


async def test_a_commit_does_not_wait_long_for_events_that_have_not_begun() -> None:
    worker = Worker()
    worker.options = EngineOptions(drain_s=0.2, ends=worker._end)
    worker.done(0)
    assert await worker.epochs.commit()
    assert [offsets for offsets, _, _ in worker.commits] == [{ORDERS: 1}]
    assert worker.dropped.is_set()
    assert (worker.rewinds, worker.ends) == (1, [])
    assert worker.flights.position(ORDERS) == 1


async def test_a_commit_that_is_cut_short_waits_for_what_has_begun_and_lets_nothing_more_begin() -> None:
    worker = Worker()
    worker.options = EngineOptions(drain_s=2.0, ends=worker._end)
    worker.in_hand = 1
    commit = asyncio.create_task(worker.epochs.commit())
    await worker.dropped.wait()
    assert not worker.epochs.takes_on
    assert not commit.done()
    worker.in_hand = 0
    worker.done(0)
    assert await commit
    assert worker.commits[0][0] == {ORDERS: 1}
    assert (worker.rewinds, worker.ends) == (1, [])
    assert worker.epochs.takes_on


async def test_slow_events_make_epochs_small_and_quick_ones_let_them_grow() -> None:
    worker = Worker()
    worker.options = EngineOptions(drain_s=0.1, ends=worker._end)
    worker.done(0)
    worker.done(1)
    await worker.epochs.commit()
    assert worker.epochs.epoch.size == 1
    worker.deliver(2, 1)
    worker.done(2)
    await worker.epochs.commit()
    assert worker.epochs.epoch.size == 2


async def test_an_epoch_of_nothing_is_not_committed() -> None:
    worker = Worker()
    for offset in range(3):
        worker.done(offset)
    await worker.epochs.commit()
    assert not await worker.epochs.commit()
    assert len(worker.commits) == 1
