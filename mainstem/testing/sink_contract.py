# ruff: noqa: S101 - asserts are what a contract is made of
"""What every exactly-once sink must pass. A connector's test gives a rig and inherits the tests:

class TestMySink(ExactlyOnceContract):
    @pytest.fixture
    def rig(self) -> Rig: ...
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import pytest

from mainstem.errors import Fenced, Misconfigured, Rejected
from mainstem.event import Event
from mainstem.sdk.sink import Advance, Claim, Guarantee, Mapped, ParkedKey, Progress, SinkIdentity
from mainstem.testing.sink_rig import JOURNAL, KEY, P0, P1, TOPIC, Rig, claim, deliver, entry, letter, lines


class ExactlyOnceContract(ABC):
    """Inherit, and give the rig."""

    @pytest.fixture
    @abstractmethod
    def rig(self) -> Rig: ...

    async def test_the_sink_promises_exactly_once(self, rig: Rig) -> None:
        assert rig.sink().guarantee is Guarantee.EXACTLY_ONCE
        await rig.sink().check()

    async def test_taking_over_raises_the_epoch_and_knows_the_next_offset(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target:
            first = await claim(target)
            assert first.next_offset is None
            await deliver(target, first, [entry("a", 1, -1)])
            second, other = await target.take_over([P0, P1])
        assert (second.partition, second.epoch > first.epoch, second.next_offset) == (P0, True, 1)
        assert (other.partition, other.next_offset) == (P1, None)

    async def test_a_fenced_worker_writes_nothing(self, rig: Rig) -> None:
        sink = rig.sink()
        async with sink.open(JOURNAL) as old, sink.open(JOURNAL) as new:
            stale = await claim(old)
            fresh = await claim(new)
            parked = [(KEY, "a-0")]
            with pytest.raises(Fenced, match=f"{TOPIC}:0"):
                await deliver(old, stale, [entry("old", 1, -1)], letters=[letter(0, "dlq")], parked=parked)
            await deliver(new, fresh, [entry("new", 1, -1)])
            assert (await new.letters(P0, -1), set(await new.parked([TOPIC]))) == ([], set())
        assert await rig.rows() == lines("new", 1, -1)

    async def test_a_worker_fenced_in_the_middle_of_its_transaction_writes_nothing(self, rig: Rig) -> None:
        sink = rig.sink()
        async with sink.open(JOURNAL) as old, sink.open(JOURNAL) as new:
            stale = await claim(old)
            with pytest.raises(Fenced):
                async with old.transaction() as transaction:
                    await transaction.write([entry("old", 1, -1)])
                    await claim(new)
                    await transaction.commit(Progress([Advance(stale, None, 1)]))
        assert await rig.rows() == []

    async def test_one_lost_partition_of_several_holds_the_whole_transaction_back(self, rig: Rig) -> None:
        sink = rig.sink()
        async with sink.open(JOURNAL) as old, sink.open(JOURNAL) as new:
            kept, lost = await old.take_over([P0, P1])
            await claim(new, P1)
            with pytest.raises(Fenced, match=f"{TOPIC}:1"):
                async with old.transaction() as transaction:
                    await transaction.write([entry("old", 1, -1)])
                    await transaction.commit(Progress([Advance(kept, None, 1), Advance(lost, None, 1)]))
            assert (await claim(new, P0)).next_offset is None
        assert await rig.rows() == []

    async def test_an_unexpected_offset_is_fenced(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target:
            first = await claim(target)
            await deliver(target, first, [entry("a", 1, -1)])
            with pytest.raises(Fenced):
                await deliver(target, first, [entry("a", 1, -1)])
        assert await rig.rows() == lines("a", 1, -1)

    async def test_leaving_without_commit_leaves_nothing(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target:
            claimed = await claim(target)
            async with target.transaction() as transaction:
                await transaction.write([entry("a", 1, -1)])
            assert await rig.rows() == []
            await deliver(target, claimed, [entry("b", 1, -1)])
        assert await rig.rows() == lines("b", 1, -1)

    async def test_a_crash_between_effect_and_commit_leaves_nothing_and_the_successor_delivers_once(
        self, rig: Rig
    ) -> None:
        sink = rig.sink()
        with pytest.raises(ZeroDivisionError):
            async with sink.open(JOURNAL) as target:
                await claim(target)
                async with target.transaction() as transaction:
                    await transaction.write([entry("a", 1, -1)])
                    raise ZeroDivisionError
        async with sink.open(JOURNAL) as successor:
            claimed = await claim(successor)
            assert claimed.next_offset is None
            await deliver(successor, claimed, [entry("a", 1, -1)])
        assert await rig.rows() == lines("a", 1, -1)

    async def test_a_record_sent_again_after_a_lost_answer_is_written_once(self, rig: Rig) -> None:
        sink = rig.sink()
        async with sink.open(JOURNAL) as target:
            await deliver(target, await claim(target), [entry("a", 1, -1)])  # the worker never learns of it
        async with sink.open(JOURNAL) as again:
            claimed = await claim(again)
            assert claimed.next_offset == 1
            with pytest.raises(Fenced):
                await deliver(again, Claim(P0, claimed.epoch, None), [entry("a", 1, -1)])
        assert await rig.rows() == lines("a", 1, -1)

    @pytest.mark.parametrize("refused", [entry("zero", 0), entry("unbalanced", 1, -2)], ids=["at once", "deferred"])
    async def test_a_refused_batch_leaves_nothing_and_the_transaction_goes_on(self, rig: Rig, refused: Mapped) -> None:
        async with rig.sink().open(JOURNAL) as target:
            claimed = await claim(target)
            async with target.transaction() as transaction:
                await transaction.write([entry("before", 1, -1)])
                with pytest.raises(Rejected):
                    await transaction.write([entry("beside", 1, -1), refused])
                await transaction.write([entry("later", 1, -1)])
                await transaction.commit(Progress([Advance(claimed, None, 4)], letters=[letter(2, "dlq")]))
            assert [kept.offset for kept in await target.letters(P0, -1)] == [2]
        assert await rig.rows() == lines("before", 1, -1) + lines("later", 1, -1)

    async def test_the_refusal_does_not_tell_the_values(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target, target.transaction() as transaction:
            for refused in (entry("canary", 0), entry("canary", 4711, 1)):
                with pytest.raises(Rejected) as refusal:
                    await transaction.write([refused])
                told = f"{refusal.value}{refusal.value.__cause__}{refusal.value.__context__}"
                assert "canary" not in told
                assert "4711" not in told

    async def test_appended_rows_stay_side_by_side(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target:
            claimed = await deliver(target, await claim(target), [entry("a", 1, -1), entry("a", 1, -1)])
            await deliver(target, claimed, [entry("a", 1, -1)])
        assert await rig.rows() == sorted(lines("a", 1, -1) * 3)

    async def test_the_last_row_of_a_key_wins_within_a_batch_and_later(self, rig: Rig) -> None:
        async with rig.sink(key=("entry", "line")).open(JOURNAL) as target:
            claimed = await claim(target)
            claimed = await deliver(target, claimed, [entry("a", 1, -1), entry("b", 9, -9), entry("a", 2, -2)])
            assert await rig.rows() == lines("a", 2, -2) + lines("b", 9, -9)
            await deliver(target, claimed, [entry("a", 3, -3, at=1)])
        assert await rig.rows() == lines("a", 3, -3) + lines("b", 9, -9)

    async def test_an_entry_is_replaced_as_a_whole_within_a_batch_and_later(self, rig: Rig) -> None:
        async with rig.sink(key=("entry", "line"), replace_by="entry").open(JOURNAL) as target:
            claimed = await claim(target)
            claimed = await deliver(target, claimed, [entry("a", 1, 1, 1, -3), entry("b", 1, -1), entry("a", 1, 1, -2)])
            assert await rig.rows() == lines("a", 1, 1, -2) + lines("b", 1, -1)
            async with target.transaction() as transaction:
                await transaction.write([entry("a", 1, 2, 3, -6)])
                await transaction.write([entry("a", 5, -5)])
                await transaction.commit(Progress([Advance(claimed, claimed.next_offset, 9)]))
        assert await rig.rows() == lines("a", 5, -5) + lines("b", 1, -1)

    async def test_a_batch_without_rows_moves_the_offset_only(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target:
            claimed = await claim(target)
            await deliver(target, claimed, [Mapped(Event(id="tombstone"), ())])
            await deliver(target, (await claim(target)), [])
            assert (await claim(target)).next_offset == 2
        assert await rig.rows() == []

    async def test_letters_are_kept_in_order_until_they_are_forgotten(self, rig: Rig) -> None:
        letters = [letter(3, "dlq"), letter(3, "status", value=None), letter(7, "dlq")]
        async with rig.sink().open(JOURNAL) as target:
            claimed = await deliver(target, await claim(target), [], letters=letters)
            elsewhere = letter(3, "dlq", partition=P1)
            await deliver(target, claimed, [], letters=[letter(12, "dlq"), elsewhere])
            assert list(await target.letters(P0, -1)) == [*letters, letter(12, "dlq")]
            assert list(await target.letters(P0, 3)) == [letter(7, "dlq"), letter(12, "dlq")]
            await target.forget_letters(P0, 7)
            await target.forget_letters(P0, 7)
        async with rig.sink().open(JOURNAL) as successor:
            assert list(await successor.letters(P0, -1)) == [letter(12, "dlq")]
            assert list(await successor.letters(P1, -1)) == [elsewhere]

    async def test_parked_records_wait_in_order_until_each_is_released(self, rig: Rig) -> None:
        other = ParkedKey(TOPIC, b"other")
        async with rig.sink().open(JOURNAL) as target:
            claimed = await claim(target)
            claimed = await deliver(target, claimed, [], parked=[(KEY, "z"), (other, "x"), (KEY, "odd\x00id")])
            claimed = await deliver(target, claimed, [], parked=[(KEY, "a")])
            assert set(await target.parked([TOPIC])) == {KEY, other}
            assert set(await target.parked(["elsewhere.v1"])) == set()
            async with target.transaction() as transaction:
                waiting = await transaction.waiting([KEY, ParkedKey(TOPIC, b"free")])
            assert list(waiting[KEY]) == ["z", "odd\x00id", "a"]
            assert list(waiting.get(ParkedKey(TOPIC, b"free"), ())) == []
            claimed = await deliver(target, claimed, [], released=[(KEY, "z"), (other, "x")])
            assert set(await target.parked([TOPIC])) == {KEY}
            await deliver(target, claimed, [], released=[(KEY, "odd\x00id"), (KEY, "a")])
            assert set(await target.parked([TOPIC])) == set()

    async def test_an_event_that_waits_twice_is_released_once_at_a_time(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target:
            claimed = await deliver(target, await claim(target), [], parked=[(KEY, "a"), (KEY, "b"), (KEY, "a")])
            await deliver(target, claimed, [], released=[(KEY, "a")])
            async with target.transaction() as transaction:
                assert list((await transaction.waiting([KEY]))[KEY]) == ["b", "a"]

    async def test_sinks_do_not_see_each_others_state(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as one, rig.sink().open(SinkIdentity("books", "archive")) as two:
            await deliver(one, await claim(one), [], letters=[letter(1, "dlq")], parked=[(KEY, "a")])
            assert (await claim(two)).next_offset is None
            assert (list(await two.letters(P0, -1)), set(await two.parked([TOPIC]))) == ([], set())

    async def test_a_topic_made_again_starts_from_nothing(self, rig: Rig) -> None:
        again = SinkIdentity(JOURNAL.integration, JOURNAL.sink, {TOPIC: "second"})
        async with rig.sink().open(JOURNAL) as target:
            stale, _ = await target.take_over([P0, P1])
            old = [letter(0, "dlq")]
            stale = await deliver(target, stale, [entry("a", 1, -1)], letters=old, parked=[(KEY, "a")])
            async with rig.sink().open(again) as successor:
                claimed = await claim(successor)
                assert (claimed.next_offset, claimed.epoch > stale.epoch) == (None, True)
                assert (list(await successor.letters(P0, -1)), set(await successor.parked([TOPIC]))) == ([], set())
                claimed = await deliver(successor, claimed, [], parked=[(KEY, "b")])
                assert (await successor.take_over([P0, P1]))[0].next_offset == claimed.next_offset
                assert set(await successor.parked([TOPIC])) == {KEY}
            with pytest.raises(Fenced):
                await deliver(target, stale, [entry("b", 1, -1)])
        assert await rig.rows() == lines("a", 1, -1)

    async def test_rows_of_another_integration_are_not_taken_over(self, rig: Rig) -> None:
        async with rig.sink().open(SinkIdentity("a", "b.c")) as one, rig.sink().open(SinkIdentity("a.b", "c")) as two:
            claimed = await claim(one)
            with pytest.raises(Misconfigured):
                await two.take_over([P1, P0])
            await deliver(one, claimed, [entry("a", 1, -1)])
        assert await rig.rows() == lines("a", 1, -1)

    async def test_what_is_asked_during_a_transaction_waits_for_its_end(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target:
            claimed = await claim(target)
            async with target.transaction() as transaction:
                await transaction.write([entry("a", 1, -1)])
                taking_over = asyncio.create_task(claim(target))
                for _ in range(10):
                    await asyncio.sleep(0)  # it has its chance to be first
                await transaction.commit(Progress([Advance(claimed, None, 1)]))
            assert (await taking_over).next_offset == 1

    async def test_a_call_inside_its_own_transaction_is_refused_at_once(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target, target.transaction():
            with pytest.raises(RuntimeError, match="leave the transaction first"):
                await target.letters(P0, -1)

    async def test_a_transaction_that_is_over_is_of_no_use(self, rig: Rig) -> None:
        async with rig.sink().open(JOURNAL) as target, target.transaction() as transaction:
            await transaction.commit(Progress([]))
            with pytest.raises(RuntimeError, match="over"):
                await transaction.write([entry("a", 1, -1)])
        assert await rig.rows() == []

    async def test_workers_that_start_at_the_same_moment_all_get_a_claim(self, rig: Rig) -> None:
        async def start() -> int:
            async with rig.sink().open(JOURNAL) as target:
                return (await claim(target)).epoch

        epochs = await asyncio.gather(*(start() for _ in range(6)))
        assert len(set(epochs)) == 6
