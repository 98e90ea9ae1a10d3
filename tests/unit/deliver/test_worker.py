"""One sink's worker against everything that can happen to it: outages, mistakes, bugs, rivals, a stop in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from mainstem import Misconfigured, Retryable
from mainstem.deliver import persistence
from mainstem.deliver.worker import SinkWorker
from mainstem.errors import (
    FUNCTION_FAILED,
    KAFKA_UNREACHABLE,
    OFFSETS_GONE,
    PARKED_TOO_MANY,
    RETRIES_EXHAUSTED,
    TARGET_REFUSES,
    Fenced,
    Unreachable,
)
from mainstem.flow.item import OnFailure
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.consumer import Failed
from mainstem.observe.board import State
from mainstem.testing.memory_target import MemoryTarget, MemoryTransaction
from tests.unit.deliver.worker_rig import IDENTITY, P0, P1, R0, Rig


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "PROBE_S", 0.001)
    monkeypatch.setattr(persistence, "RETAKE_S", 0.001)
    monkeypatch.setattr(persistence, "OUTAGE", RetryPolicy(first_s=0.001, max_s=0.001))


class Faults:
    """Makes some calls on any target fail, each with the next of its errors; None lets one call through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def on(self, kind: type[Any], method: str, errors: Sequence[Exception | None]) -> list[Exception | None]:
        left, real = list(errors), getattr(kind, method)

        async def call(instance: Any, *arguments: Any) -> Any:
            if left and (error := left.pop(0)) is not None:
                raise error
            return await real(instance, *arguments)

        self._patch.setattr(kind, method, call)
        return left


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


async def test_records_are_delivered_in_order_and_where_it_stands_is_told_to_the_group() -> None:
    rig = Rig(batch=3)
    rig.publish(*range(10))
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.committed == {P0: 10})
        assert rig.board.is_ready()
    assert rig.delivered == list(range(10))
    assert rig.consumer.done == 4
    assert rig.status.state is State.STOPPED


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("ends", ["by a stop", "by a rebalance"])
async def test_a_group_that_cannot_be_told_holds_nothing_up_and_ends_nothing(ends: str, batches: int) -> None:
    rig = Rig()
    rig.consumer.cannot_commit = Unreachable("the consumer is closed", code=KAFKA_UNREACHABLE)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.starts)
        for batch in range(batches):
            rig.consumer.fetch(rig.publish(batch))
            await rig.until(lambda: rig.consumer.done == len(rig.delivered) == batch + 1)  # noqa: B023 - at once
        if ends == "by a rebalance":
            await rig.consumer.revoke(P0).wait()
    assert rig.status.state is State.STOPPED
    assert [state for state, _ in rig.board.said if state is State.WAITING] == []


async def test_a_successor_begins_where_the_one_before_it_stopped() -> None:
    rig = Rig()
    rig.publish(1, 2)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: len(rig.delivered) == 2)
    rig.publish(3)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: len(rig.delivered) == 3)
    assert rig.consumer.starts == [{P0: 0}, {P0: 2}]
    assert rig.delivered == [1, 2, 3]


async def test_an_outage_is_waited_for_and_loses_nothing() -> None:
    rig = Rig(batch=2)
    rig.publish(*range(6))
    rig.store.reachable = False
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.status.state is State.WAITING)
        rig.store.reachable = True
        await rig.until(lambda: rig.consumer.committed == {P0: 6})
        assert rig.status.state is State.RUNNING
    assert rig.delivered == list(range(6))


async def test_an_outage_costs_no_record_an_attempt(faults: Faults) -> None:
    rig = Rig()
    rig.publish(1)
    left = faults.on(MemoryTransaction, "write", [*[Unreachable("away")] * 50, *[Retryable("busy", after_s=0)] * 2])
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.delivered == [1])
    assert left == []
    assert rig.outbox.partitions == {P0}, "posted when it was taken over, and not for a letter"
    assert rig.store.contents.letters == {}


async def test_a_commit_whose_answer_was_lost_is_not_repeated() -> None:
    rig = Rig(batch=2)
    rig.publish(*range(4))
    rig.store.lose_next_answer = True
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.delivered == [0, 1, 2, 3])
        await rig.until(lambda: rig.consumer.done == 2)
    assert rig.delivered == [0, 1, 2, 3]


async def test_a_target_that_was_set_back_gets_again_what_it_has_lost(faults: Faults) -> None:
    rig = Rig(batch=2)
    rig.publish(*range(6))
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.done == 3)
        control = rig.store.contents.controls["books.journal", P0]
        rig.store.contents.rows, control.next_offset = rig.store.contents.rows[:2], 2
        faults.on(MemoryTransaction, "write", [Unreachable("failing over")])
        rig.consumer.fetch(rig.publish(6, 7))
        await rig.until(lambda: len(rig.delivered) == 8)
    assert rig.delivered == list(range(8))


@pytest.mark.parametrize(
    "where", [(MemoryTarget, "take_over"), (MemoryTransaction, "write"), (MemoryTransaction, "commit")]
)
async def test_a_mistake_in_the_set_up_pauses_until_it_is_mended(faults: Faults, where: tuple[type[Any], str]) -> None:
    rig = Rig()
    rig.publish(1, 2)
    left = faults.on(*where, [Misconfigured("no such table")] * 3)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: len(rig.delivered) == 2)
        await rig.until(lambda: rig.status.state is State.RUNNING)
    assert [error.cause for error in rig.board.pauses()] == ["no such table"] * 3
    assert (rig.delivered, left) == ([1, 2], [])


async def test_a_bug_in_the_mapping_pauses_and_keeps_the_record() -> None:
    rig = Rig()
    rig.publish(1, 2)
    rig.fails = [ValueError("4711"), ZeroDivisionError("4711")]
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.delivered == [1, 2])
        await rig.until(lambda: rig.status.state is State.RUNNING)
    errors = rig.board.pauses()
    assert [error.code for error in errors] == [FUNCTION_FAILED] * 2
    assert "ZeroDivisionError" in errors[0].cause
    assert "4711" not in str(errors)
    assert rig.store.contents.letters == {}


async def test_a_bug_in_the_connector_pauses_and_keeps_the_record(
    faults: Faults, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = Rig()
    rig.publish(1)
    faults.on(MemoryTransaction, "write", [KeyError("4711"), None])
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.delivered == [1])
    said = capsys.readouterr()
    assert "KeyError" in said.out + said.err
    assert "4711" not in said.out + said.err, "an unexpected error's own words may quote a payload"


async def test_of_two_partitions_only_the_one_that_another_took_is_left_and_the_other_loses_nothing() -> None:
    rig = Rig()
    async with rig.running():
        rig.consumer.assign(P0, P1)
        await rig.until(lambda: rig.consumer.starts)
        await rig.taken_over_by_another(P1)
        rig.consumer.held.discard(P1)
        rig.consumer.fetch([*rig.publish(1, 2), *rig.publish(11, 12, partition=P1)])
        await rig.until(lambda: rig.consumer.done == 1)
        assert rig.delivered == [1, 2]
        rig.consumer.fetch(rig.publish(3))
        await rig.until(lambda: rig.consumer.done == 2)
    assert rig.delivered == [1, 2, 3]
    assert rig.outbox.left == [P1]
    assert len(rig.consumer.starts) == 1


async def test_what_the_group_still_gives_us_is_taken_over_anew_after_a_zombie() -> None:
    rig = Rig()
    async with rig.running():
        rig.consumer.assign(P0, P1)
        await rig.until(lambda: rig.consumer.starts)
        await rig.taken_over_by_another(P1)
        rig.consumer.fetch([*rig.publish(1), *rig.publish(11, partition=P1)])
        await rig.until(lambda: sorted(rig.delivered) == [1, 11])
    assert [set(start) for start in rig.consumer.starts] == [{P0, P1}, {P1}]


async def test_being_fenced_while_taking_over_is_no_end_while_the_group_gives_us_the_work(faults: Faults) -> None:
    rig = Rig()
    rig.publish(1)
    faults.on(MemoryTarget, "parked", [Fenced("a zombie")])
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.delivered == [1])


async def test_a_take_over_that_is_tried_again_leaves_alone_what_another_worker_was_given_meanwhile(
    faults: Faults,
) -> None:
    rig = Rig()
    taken = []
    real = MemoryTarget.take_over

    async def take_over(target: MemoryTarget, partitions: Any) -> Any:
        taken.append(set(partitions))
        if len(taken) == 1:
            rig.consumer.held.discard(P1)
            raise Unreachable("away")
        return await real(target, partitions)

    faults._patch.setattr(MemoryTarget, "take_over", take_over)
    async with rig.running():
        rig.consumer.assign(P0, P1)
        await rig.until(lambda: rig.consumer.starts)
    assert taken == [{P0, P1}, {P0}]


async def test_partitions_that_are_gone_before_they_were_taken_are_not_taken() -> None:
    rig = Rig()
    async with rig.running():
        rig.consumer.assign(P0)
        rig.consumer.held.clear()
        rig.consumer.assign(P1)
        await rig.until(lambda: rig.consumer.starts)
    assert rig.consumer.starts == [{P1: 0}]
    assert not any(partition == P0 for _, partition in rig.store.contents.controls)


async def test_records_of_a_stale_generation_are_left_to_the_one_that_counts() -> None:
    rig = Rig()
    first = rig.publish(1, 2)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.done == 1)
        rig.consumer.fetch(rig.publish(3, 4), generation=0)
        await rig.until(lambda: rig.consumer.done == 2)
        assert rig.delivered == [1, 2]
        rig.consumer.fetch(first)
        await rig.until(lambda: rig.consumer.done == 3)
        assert rig.delivered == [1, 2], "what has been delivered is not delivered again"
        rig.consumer.fetch(rig.consumer.records[P0][2:])
        await rig.until(lambda: rig.delivered == [1, 2, 3, 4])


async def test_records_of_partitions_that_were_revoked_are_left_alone() -> None:
    rig = Rig()
    async with rig.running():
        rig.consumer.assign(P0, P1)
        await rig.until(lambda: rig.consumer.starts)
        left = rig.consumer.revoke(P1)
        rig.consumer.fetch([*rig.publish(1), *rig.publish(11, partition=P1)])
        await rig.until(lambda: rig.consumer.done == 1)
        assert left.is_set()
    assert rig.delivered == [1]
    assert rig.outbox.left == [P1]


async def test_a_rebalance_waits_for_the_batch_under_way(faults: Faults) -> None:
    rig = Rig()
    rig.publish(1)
    gate, real = asyncio.Event(), MemoryTransaction.write

    async def write(transaction: MemoryTransaction, records: Any) -> None:
        await gate.wait()
        await real(transaction, records)

    faults._patch.setattr(MemoryTransaction, "write", write)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.starts)
        left = rig.consumer.revoke(P0)
        await asyncio.sleep(0)
        assert not left.is_set()
        gate.set()
        await rig.until(left.is_set)
    assert rig.delivered == [1]


async def test_a_stop_breaks_a_wait_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "OUTAGE", RetryPolicy(first_s=3600, max_s=3600))
    rig = Rig()
    rig.publish(1)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.done == 1)
        rig.store.reachable = False
        rig.consumer.fetch(rig.publish(2))
        await rig.until(lambda: rig.status.state is State.WAITING)
    assert rig.consumer.done == 1
    rig.store.reachable = True
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.delivered == [1, 2])


async def test_a_stop_breaks_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "PROBE_S", 3600)
    rig = Rig()
    rig.publish(1)
    rig.fails = [ValueError()]
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.status.state is State.PAUSED)
    assert rig.delivered == []


async def test_a_stop_finishes_what_was_fetched_before_it() -> None:
    rig = Rig(batch=1)
    rig.publish(*range(5))
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.starts)
    assert rig.delivered == list(range(5))


@pytest.mark.parametrize("bounds", [(3, 10), (0, 1)])
async def test_a_gap_pauses_the_sink_and_is_named(bounds: tuple[int, int]) -> None:
    rig = Rig()
    rig.publish(1, 2)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.done == 1)
    rig.consumer.bounds_of[P0] = bounds
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.status.state is State.PAUSED)
        assert rig.status.code == OFFSETS_GONE.number
        assert (
            rig.status.reason == f"shop.order.v1:0 holds offsets {bounds[0]} to {bounds[1]}, the next one to read is 2"
        )
        assert len(rig.consumer.starts) == 1, "nothing is read on"


async def test_a_sink_that_has_delivered_nothing_yet_begins_at_the_beginning_that_is_left() -> None:
    rig = Rig()
    rig.consumer.bounds_of[P0] = (5, 9)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.starts == [{P0: 5}])


async def test_with_the_policy_to_block_the_sink_stops_before_a_refused_record_until_it_is_mended() -> None:
    rig = Rig(on_failure=OnFailure.BLOCK)
    rig.publish(1, 2, 3)
    rig.refused = {2}
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.status.state is State.PAUSED)
        assert rig.status.code == TARGET_REFUSES.number
        assert rig.status.reason is not None
        assert "shop.order.v1:0:1 is refused" in rig.status.reason
        assert rig.delivered == []
        rig.refused = set()
        await rig.until(lambda: rig.delivered == [1, 2, 3])
    assert rig.store.contents.letters == {}


async def test_a_refused_record_is_a_letter_that_is_posted_and_the_others_flow() -> None:
    rig = Rig()
    rig.publish(*range(20))
    rig.refused = {7}
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.committed == {P0: 20})
    assert rig.delivered == [n for n in range(20) if n != 7]
    assert [letter.offset for letter in rig.store.contents.letters["books.journal", P0]] == [7, 7]
    assert rig.outbox.partitions == {P0}


async def test_a_record_that_the_target_puts_off_again_and_again_is_out_of_attempts(faults: Faults) -> None:
    rig = Rig()
    rig.publish(1, 2)
    real = MemoryTransaction.write

    async def write(transaction: MemoryTransaction, records: Any) -> None:
        if any(row["n"] == 2 for record in records for row in record.rows):
            raise Retryable("later", after_s=0)
        await real(transaction, records)

    faults._patch.setattr(MemoryTransaction, "write", write)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.done == 1)
    assert rig.delivered == [1]
    (letter, _) = rig.store.contents.letters["books.journal", P0]
    assert dict(letter.headers)["mainstem_error_code"] == RETRIES_EXHAUSTED.number.encode()


async def test_an_error_of_the_consumer_is_told_and_the_next_batch_makes_it_good() -> None:
    rig = Rig()
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.starts)
        rig.consumer._happenings.put_nowait(Failed(Unreachable("no broker")))
        await rig.until(lambda: rig.status.state is State.WAITING)
        rig.consumer.fetch(rig.publish(1))
        await rig.until(lambda: rig.status.state is State.RUNNING)
    assert rig.delivered == [1]


async def test_what_ends_the_consumer_ends_the_worker() -> None:
    rig = Rig()

    async def broken() -> Any:
        raise RuntimeError("the consumer's thread is gone")
        yield

    rig.consumer.happenings = broken  # type: ignore[method-assign]
    async with rig._sink.open(IDENTITY) as target:
        worker: SinkWorker = rig.worker(target)
        with pytest.raises(RuntimeError, match="thread is gone"):
            await worker.run()
    assert rig.status.state is State.STOPPED


async def test_one_parked_key_too_many_pauses_the_sink_until_a_redrive_has_made_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(persistence, "PROBE_S", 3600)
    rig = Rig(max_parked_keys=1)
    rig.refused = {0, 1}
    rig.publish(0)
    async with rig.running():
        rig.consumer.assign(P0, R0)
        await rig.until(lambda: rig.consumer.committed == {P0: 1})
        rig.consumer.fetch(rig.publish(1, 2))
        await rig.until(lambda: rig.status.state is State.PAUSED)
        assert (rig.status.code, rig.delivered) == (PARKED_TOO_MANY.number, [])
        assert rig.consumer.holds_asked[1:] == [[P0]]
        rig.refused.discard(0)
        rig.consumer.fetch(rig.redrive(0))
        await rig.until(lambda: rig.consumer.committed == {P0: 3, R0: 1})
        assert rig.consumer.starts[1:] == [{P0: 1}]
        await rig.until(lambda: rig.status.state is State.RUNNING)
    assert rig.delivered == [0, 2]


async def test_with_too_many_parked_keys_the_sink_looks_now_and_then_whether_the_records_would_be_taken() -> None:
    rig = Rig(max_parked_keys=1)
    rig.refused = {0, 1}
    rig.publish(0)
    async with rig.running():
        rig.consumer.assign(P0, R0)
        await rig.until(lambda: rig.consumer.committed == {P0: 1})
        rig.consumer.fetch(rig.publish(1, 2))
        await rig.until(lambda: len(rig.consumer.holds_asked) >= 4)
        assert rig.status.state is State.PAUSED
        rig.refused.discard(1)
        await rig.until(lambda: rig.consumer.committed == {P0: 3})
        await rig.until(lambda: rig.status.state is State.RUNNING)
    assert rig.delivered == [1, 2]


async def test_records_of_parked_keys_join_their_lines_however_many_keys_are_parked() -> None:
    rig = Rig(max_parked_keys=1)
    rig.refused = {0}
    rig.publish(0, 0)
    async with rig.running():
        rig.consumer.assign(P0, R0)
        await rig.until(lambda: rig.consumer.committed == {P0: 2})
        assert rig.status.state is State.RUNNING


async def test_where_only_the_record_is_skipped_no_number_of_them_stops_the_sink() -> None:
    rig = Rig(on_failure=OnFailure.SKIP, max_parked_keys=1)
    rig.refused = {0, 1, 2}
    rig.publish(0, 1, 2, 3)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.committed == {P0: 4})
    assert rig.delivered == [3]
