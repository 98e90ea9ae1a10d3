"""A plain sink's worker against what can happen to it: outages, mistakes, bugs, rivals, a stop in between."""

from __future__ import annotations

import asyncio
import time

import pytest

from mainstem import Misconfigured, Partition, Retryable
from mainstem.deliver import persistence, tenure
from mainstem.errors import FUNCTION_FAILED, OFFSETS_GONE, PARKED_TOO_MANY, Unreachable
from mainstem.flow.breaker import Breaker
from mainstem.flow.item import OnFailure
from mainstem.flow.retry import RetryPolicy
from mainstem.observe.board import State
from tests.unit.deliver.lane_rig import P0, P1, R0, LaneRig
from tests.unit.deliver.sink_world import TOPIC


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "PROBE_S", 0.01)
    monkeypatch.setattr(persistence, "RETAKE_S", 0.01)
    monkeypatch.setattr(persistence, "OUTAGE", RetryPolicy(first_s=0.001, max_s=0.001))
    monkeypatch.setattr(tenure, "COMMIT_S", 0.005)


async def test_records_are_delivered_and_their_offsets_committed() -> None:
    rig = LaneRig(in_flight=1, per_write=None, batch=4)
    rig.publish(*range(10), key="k")
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 10})
        await rig.until(rig.board.is_ready)
        assert rig.consumer.done == 3
    assert rig.sink.seen == list(range(10))
    assert rig.sink.most_in_flight == 1
    assert rig.status.state is State.STOPPED


async def test_many_keys_are_in_flight_and_a_hanging_one_holds_up_its_own_key_only() -> None:
    rig = LaneRig(in_flight=4)
    rig.sink.hangs[0] = asyncio.Event()
    rig.publish(0, 1, key="slow")
    rig.publish(*range(2, 50))
    async with rig.running():
        await rig.until(lambda: set(rig.sink.seen) == {*range(2, 50)})
        assert rig.sink.most_in_flight == 4
        assert rig.committed == {}
        rig.sink.hangs[0].set()
        await rig.until(lambda: rig.committed == {P0: 50})
    assert rig.sink.seen[-2:] == [0, 1]


async def test_a_successor_begins_behind_what_is_durable_and_knows_what_waits() -> None:
    rig = LaneRig()
    rig.sink.refused = {1}
    rig.publish(0, 1, 2, key="k")
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 3})
    assert (rig.sink.seen, set(rig.ledger.waiting())) == ([0], {"e1", "e2"})
    rig.publish(3, key="k")
    rig.publish(4, key="other")
    rig.sink.refused.clear()
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 5})
        assert rig.sink.seen == [0, 4]
        rig.redrive("e1", "e2", "e3")
        await rig.until(lambda: rig.ledger.waiting() == {})
        rig.feed(5, key="k")
        await rig.until(lambda: rig.committed[P0] == 6)
    assert rig.sink.seen == [0, 4, 1, 2, 3, 5]
    assert set(rig.ledger.statuses().values()) == {"delivered"}


async def test_a_record_that_is_tried_again_is_not_tried_before_its_time_nor_more_often_than_it_may() -> None:
    rig = LaneRig()
    rig.sink.errors[0] = [Retryable("busy", after_s=0.0) for _ in range(9)]
    rig.publish(0, 1)
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 2})
    assert (rig.sink.calls.count([0]), rig.sink.seen, set(rig.ledger.waiting())) == (3, [1], {"e0"})


async def test_an_outage_costs_no_attempt_and_only_one_record_knocks() -> None:
    rig = LaneRig(in_flight=8)
    rig.sink.errors[0] = [Unreachable("away") for _ in range(20)]
    rig.publish(*range(30))
    async with rig.running():
        await rig.until(lambda: rig.status.state is State.WAITING)
        calls = len(rig.sink.calls)
        await rig.until(lambda: not rig.sink.errors[0])
        knocks = rig.sink.calls[calls:]
        assert knocks.count([0]) >= len(knocks) - 8, "nobody else tries while the target is away"
        await rig.until(lambda: rig.committed == {P0: 30})
        await rig.until(rig.board.is_ready)
    assert sorted(rig.sink.seen) == list(range(30))
    assert rig.ledger.letters() == []


async def test_the_first_try_after_an_outage_is_a_single_record() -> None:
    rig = LaneRig(in_flight=1, per_write=None)
    rig.sink.errors[0] = [Unreachable("away")] * 3
    rig.publish(*range(9))
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 9})
    assert rig.sink.calls == [list(range(9)), [0], [0], [0], list(range(1, 9))]


async def test_sinks_of_one_target_wait_together() -> None:
    breaker = Breaker(RetryPolicy(first_s=3600, max_s=3600), draw=lambda _, high: high)
    one, other = LaneRig(breaker=breaker), LaneRig(breaker=breaker)
    one.sink.errors[0] = [Unreachable("away")]
    one.publish(0)
    async with one.running(), other.running():
        await one.until(lambda: one.status.state is State.WAITING)
        other.feed(1)
        await other.until(lambda: other.status.state is State.WAITING)
        assert other.sink.calls == []


@pytest.mark.parametrize("error", [Misconfigured("no such table"), ValueError("a bug")])
async def test_what_a_person_has_to_mend_pauses_the_sink_and_keeps_the_record(error: Exception) -> None:
    rig = LaneRig()
    rig.sink.errors[0] = [error] * 5
    rig.publish(0, 1, key="k")
    async with rig.running():
        await rig.until(lambda: rig.status.state is State.PAUSED)
        if isinstance(error, ValueError):
            assert rig.status.code == FUNCTION_FAILED.number
        await rig.until(lambda: rig.committed == {P0: 2})
        await rig.until(rig.board.is_ready)
    assert (rig.sink.seen, rig.ledger.letters()) == ([0, 1], [])


async def test_a_paused_sink_ends_when_its_settings_are_others() -> None:
    rig = LaneRig(is_outdated=lambda: True)
    rig.sink.errors[0] = [Misconfigured("wrong password")] * 100
    rig.publish(0)
    async with rig.running():
        await rig.until(lambda: rig.status.state is State.STOPPED)
    assert rig.sink.seen == []


async def test_a_refused_record_stops_the_sink_where_on_failure_is_block() -> None:
    rig = LaneRig(on_failure=OnFailure.BLOCK)
    rig.sink.refused = {0}
    rig.publish(0, 1)
    async with rig.running():
        await rig.until(lambda: rig.status.state is State.PAUSED)
        assert "on_failure is block" in (rig.status.reason or "")
        rig.sink.refused.clear()
        await rig.until(lambda: rig.committed == {P0: 2})
    assert rig.ledger.letters() == []


async def test_partitions_are_left_when_what_is_in_flight_has_landed_and_is_durable() -> None:
    rig = LaneRig()
    rig.sink.hangs[0] = asyncio.Event()
    rig.publish(0, 1)
    async with rig.running() as worker:
        await rig.until(lambda: rig.sink.seen == [1])
        left = rig.revoke(P0, R0)
        rig.feed(2)
        await rig.until(lambda: worker._tenure is None)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (left.is_set(), rig.sink.in_flight) == (False, 1)
        rig.sink.hangs[0].set()
        async with asyncio.timeout(5):
            await left.wait()
        assert rig.committed == {P0: 2}
    assert rig.sink.seen == [1, 0], "nothing new is begun"


async def test_a_write_that_never_ends_is_broken_off_when_its_partition_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tenure, "DRAIN_S", 0.01)
    rig = LaneRig()
    rig.sink.hangs[1] = asyncio.Event()
    rig.publish(0, 1)
    async with rig.running():
        await rig.until(lambda: rig.sink.in_flight == 1 and rig.sink.seen == [0])
        async with asyncio.timeout(5):
            await rig.revoke(P0, R0).wait()
        assert (rig.committed, rig.sink.in_flight) == ({P0: 1}, 0)


async def test_partitions_that_are_lost_are_left_at_once() -> None:
    rig = LaneRig()
    rig.sink.hangs[0] = asyncio.Event()
    rig.publish(0, 1)
    async with rig.running():
        await rig.until(lambda: rig.sink.in_flight == 1)
        async with asyncio.timeout(5):
            await rig.revoke(P0, R0, lost=True).wait()
        assert rig.sink.in_flight == 0


async def test_a_fenced_worker_stops_and_takes_over_anew_if_the_group_says_so() -> None:
    rig = LaneRig()
    rig.publish(0)
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 1})
        await rig.ledger.member().restore([P0, R0])
        rig.feed(1)
        await rig.until(lambda: rig.committed == {P0: 2})
    assert rig.sink.seen == [0, 1, 1]


async def test_a_worker_that_has_slept_writes_nothing_before_it_knows_that_the_partitions_are_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tenure, "LEASE_S", 0.05)
    rig = LaneRig(in_flight=1)
    rig.publish(0)
    async with rig.running() as worker:
        await rig.until(lambda: rig.committed == {P0: 1})
        rig.sink.hangs[1] = asyncio.Event()
        rig.feed(1, 2, 3)
        await rig.until(lambda: rig.sink.in_flight == 1)
        await rig.ledger.member().restore([P0, R0])
        rig.consumer.held.clear()
        time.sleep(0.2)  # noqa: ASYNC251 - the whole process is stopped
        rig.sink.hangs[1].set()
        await rig.until(lambda: worker._tenure is None)
    assert rig.sink.seen == [0, 1], "but for what was under way when it fell asleep"


async def test_no_more_is_fetched_than_there_is_room_for() -> None:
    rig = LaneRig(in_flight=1, per_write=None, batch=2)
    rig.sink.hangs[0] = asyncio.Event()
    rig.publish(*range(20))
    async with rig.running():
        await rig.until(lambda: rig.sink.in_flight == 1)
        await rig.until(rig.consumer._happenings.empty)
        assert rig.consumer.done == 1
        rig.sink.hangs[0].set()
        await rig.until(lambda: rig.committed == {P0: 20})
        await rig.until(lambda: rig.consumer.done == 10)


async def test_a_commit_whose_answer_was_lost_is_not_repeated() -> None:
    rig = LaneRig()
    rig.sink.refused = {0}
    rig.ledger.lose_next_answer = True
    rig.publish(0)
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 1})
        rig.feed(1)
        await rig.until(lambda: rig.committed == {P0: 2})
    assert len(rig.ledger.letters()) == 1


async def test_while_kafka_is_away_writes_go_on_as_far_as_there_is_room_and_nothing_is_lost() -> None:
    rig = LaneRig(batch=5)
    rig.publish(0)
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 1})
        rig.ledger.is_reachable = False
        rig.feed(*range(1, 40))
        await rig.until(lambda: rig.status.state is State.WAITING)
        await rig.until(lambda: len(rig.sink.seen) == 11)
        rig.ledger.is_reachable = True
        await rig.until(lambda: rig.committed == {P0: 40})
        await rig.until(rig.board.is_ready)
    assert sorted(rig.sink.seen) == list(range(40))


async def test_one_parked_key_too_many_pauses_the_sink_until_a_redrive_has_made_room() -> None:
    rig = LaneRig(max_parked_keys=1)
    rig.sink.refused = {0, 1}
    rig.publish(0)
    async with rig.running():
        await rig.until(lambda: rig.committed == {P0: 1})
        rig.feed(1, 2)
        await rig.until(lambda: rig.status.state is State.PAUSED)
        assert rig.status.code == PARKED_TOO_MANY.number
        await rig.until(lambda: rig.consumer.holds_asked[1:] == [[P0]])
        rig.feed(3)
        rig.sink.refused.discard(0)
        rig.redrive("e0")
        await rig.until(lambda: rig.ledger.statuses() == {"e0": "delivered", "e1": "waiting"})
        await rig.until(lambda: rig.committed == {P0: 4, R0: 1})
        await rig.until(rig.board.is_ready)
        assert rig.consumer.starts[1:] == [{P0: 4}]
        one, other = rig.publish(4, 5)
        rig.consumer.fetch([other], generation=1)  # it was fetched before the partition was started again
        rig.consumer.fetch([one, other])
        await rig.until(lambda: rig.committed[P0] == 6)
    assert sorted(rig.sink.seen) == [0, 2, 3, 4, 5]


async def test_a_gap_pauses_the_sink_and_is_named() -> None:
    rig = LaneRig()
    rig.ledger.offsets[P0] = 2
    rig.consumer.bounds_of[P0] = (5, 9)
    async with rig.running():
        rig.consumer.bounds_of[P0] = (5, 9)
        await rig.until(lambda: rig.status.state is State.PAUSED)
        assert rig.status.code == OFFSETS_GONE.number


async def test_a_redrive_that_reaches_another_partitions_worker_is_named() -> None:
    rig = LaneRig()
    rig.sink.refused = {0}
    rig.publish(0, partition=P1)
    async with rig.running(P1, Partition(R0.topic, 1)):
        await rig.until(lambda: rig.committed == {P1: 1})
    async with rig.running(P0, R0):
        rig.redrive("e0")
        await rig.until(lambda: rig.status.state is State.PAUSED)
        assert f"as many partitions as {TOPIC} has" in (rig.status.fix or "")
