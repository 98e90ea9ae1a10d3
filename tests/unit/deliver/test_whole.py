"""A batch that is written as a whole, around a target in memory that takes it so, and all that makes it go by items."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from mainstem import Event, Partition, Rejected, Retryable, Row, Target, Unreachable
from mainstem.codec.headers import VALUE_SCHEMA_ID
from mainstem.codec.message import Message
from mainstem.deliver.outbox import Outbox
from mainstem.deliver.prepare import Preparer
from mainstem.deliver.report import Report
from mainstem.deliver.worker import SinkWorker
from mainstem.errors import TARGET_REFUSES, TARGET_UNREACHABLE
from mainstem.flow.item import OnFailure
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.consumer import GroupConsumer
from mainstem.observe.latency import Latencies
from mainstem.project.mapping import as_it_is
from mainstem.sdk.sink import Claim, Letter, Mapped, ParkedKey, Transaction
from mainstem.sdk.undecoded import Undecoded, UndecodedTransaction
from mainstem.testing.memory_target import MemorySink
from mainstem.testing.raw_message import RawMessage
from tests.unit.deliver.sink_world import CODEC, TOPIC, order, plan
from tests.unit.deliver.worker_rig import IDENTITY, P0, P1, R0, Rig

pytest.importorskip("mainstem.codec.native._avro", exc_type=ImportError)

CELLS = {"n": "int8", "text": "text"}


class WholeTransaction:
    """Notes what is written as a whole, and stores it by decoding it."""

    def __init__(self, inner: Transaction, rig: WholeRig) -> None:
        self.waiting, self.write, self.commit = inner.waiting, inner.write, inner.commit
        self._rig = rig

    async def write_undecoded(self, batch: Undecoded) -> bool:
        self._rig.tried += 1
        self._rig.told.append("written")
        await self._rig.written.wait()
        if self._rig.answers:
            answer = self._rig.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        copied = batch.binary_copy(CELLS)
        if copied is None:
            return False
        rows = numbers(copied.data)
        if self._rig.refused & set(rows):
            raise Rejected("the target refuses a row", code=TARGET_REFUSES)
        await self.write([Mapped(Event(id=""), [{"n": n} for n in rows])])
        self._rig.whole.append(rows)
        return True


def numbers(lines: bytes) -> list[int]:
    """The first cell of each line of a binary COPY."""
    found, at = [], 19
    while lines[at : at + 2] != b"\xff\xff":
        found.append(int.from_bytes(lines[at + 6 : at + 14], "big"))
        at += 18 + int.from_bytes(lines[at + 14 : at + 18], "big")
    return found


class WholeTarget(Target):
    """A target in memory that takes undecoded batches, too."""

    def __init__(self, inner: Target, rig: WholeRig) -> None:
        self._inner = inner
        self._rig = rig

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        return await self._inner.take_over(partitions)

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        return await self._inner.parked(topics)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._inner.transaction() as inner:
            yield WholeTransaction(inner, self._rig)

    async def stage(self, batch: Undecoded) -> None:
        self._rig.told.append("staged")
        if self._rig.cannot_stage is not None:
            raise self._rig.cannot_stage

    @asynccontextmanager
    async def staged(self, batch: Undecoded) -> AsyncIterator[UndecodedTransaction]:
        async with self._inner.transaction() as inner:
            yield WholeTransaction(inner, self._rig)

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        return await self._inner.letters(partition, after)

    async def forget_letters(self, partition: Partition, through: int) -> None:
        await self._inner.forget_letters(partition, through)


class WholeRig(Rig):
    """Its sink has no mapping."""

    def __init__(self, *, on_failure: OnFailure = OnFailure.PARK, mapping: Callable[[Event], Sequence[Row]] = as_it_is):
        super().__init__()
        retry = RetryPolicy(attempts=3, first_s=0.001, max_s=0.001)
        self._plan = plan(mapping, on_failure=on_failure, retry=retry)
        self._sink = MemorySink(store=self.store, refuse=lambda row: row["n"] in self.refused)
        self.whole: list[list[int]] = []
        self.tried = 0
        self.answers: list[bool | Exception] = []
        self.told: list[str] = []
        """What was staged and written, in order."""
        self.written = asyncio.Event()
        """Cleared: what is written waits."""
        self.written.set()
        self.cannot_stage: Exception | None = None

    def worker(self, target: Target) -> SinkWorker:
        report = Report(self._plan, self.board, Latencies())
        consumer, outbox = cast(GroupConsumer, self.consumer), cast(Outbox, self.outbox)
        preparer = Preparer(self._plan, CODEC.decoder, takes_undecoded=True)
        return SinkWorker(self._plan, consumer, WholeTarget(target, self), preparer, outbox, report)

    def append(self, message: Message) -> None:
        """One more record of P0."""
        self.consumer.records[P0].append(message)

    @property
    def next_offset(self) -> int | None:
        control = self.store.contents.controls.get((IDENTITY.name, P0))
        return None if control is None else control.next_offset


def message(n: int, offset: int, *, key: str | None = None, **changes: Any) -> Message:
    record = order(n, key=key or f"k{n}")._replace(**changes)
    return RawMessage(TOPIC, 0, offset, record.key, record.value, record.headers)


async def test_a_batch_without_anything_unusual_is_written_as_a_whole() -> None:
    rig = WholeRig()
    rig.publish(1, 2, 3)
    rig.publish(4, 5, partition=P1)
    async with rig.running():
        rig.consumer.assign(P0, P1)
        await rig.until(lambda: rig.consumer.committed == {P0: 3, P1: 2})
    assert rig.whole == [[1, 2, 3, 4, 5]]
    assert rig.delivered == [1, 2, 3, 4, 5]
    assert rig.next_offset == 3


async def test_the_next_batch_is_brought_to_the_target_while_the_one_before_it_is_written() -> None:
    rig = WholeRig()
    rig.consumer._batch = 1
    rig.written.clear()
    rig.publish(1, 2)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.told == ["staged", "written", "staged"])
        rig.written.set()
        await rig.until(lambda: rig.next_offset == 2)
    assert rig.whole == [[1], [2]]


@pytest.mark.parametrize("error", [Unreachable("gone", code=TARGET_UNREACHABLE), Rejected("no", code=TARGET_REFUSES)])
async def test_a_batch_that_cannot_be_brought_beforehand_is_written_all_the_same(error: Exception) -> None:
    rig = WholeRig()
    rig.cannot_stage = error
    rig.publish(1, 2)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 2)
    assert (rig.whole, rig.board.pauses()) == ([[1, 2]], [])


async def test_a_refused_row_is_found_by_items_and_the_rest_is_written() -> None:
    rig = WholeRig()
    rig.refused = {2}
    rig.publish(1, 2, 3)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 3)
    assert (rig.whole, rig.delivered) == ([], [1, 3])
    assert [key for _, key in rig.store.contents.parked] == [ParkedKey(TOPIC, b"k2")]
    assert rig.outbox.partitions == {P0}


async def test_what_the_target_does_not_take_as_a_whole_goes_by_items_and_is_tried_less_and_less() -> None:
    rig = WholeRig()
    rig.consumer._batch = 1
    rig.answers = [False] * 100
    rig.publish(*range(10))
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 10)
    assert rig.delivered == list(range(10))
    assert rig.tried < 6


@pytest.mark.parametrize(
    "unusual",
    [
        {"value": None},
        {"value": b"no avro"},
        {"value": b"\x00\x00\x00\x00\x63\x02"},
        {"headers": [(VALUE_SCHEMA_ID, b"\x00\x00\x00\x00\x63")]},
    ],
)
async def test_a_batch_with_an_unusual_record_is_not_tried_as_a_whole(unusual: Mapping[str, Any]) -> None:
    rig = WholeRig()
    rig.publish(1)
    rig.append(message(2, 1, **unusual))
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 2)
    assert (rig.tried, rig.delivered) == (0, [1])


async def test_bytes_that_do_not_decode_cost_their_own_record_only() -> None:
    rig = WholeRig()
    rig.publish(1)
    rig.append(message(2, 1, value=(order(2).value or b"")[:-1]))
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 2)
    assert (rig.tried, rig.whole, rig.delivered) == (1, [], [1])
    assert rig.outbox.partitions == {P0}


async def test_records_of_a_parked_key_wait_and_batches_of_other_keys_go_as_a_whole() -> None:
    rig = WholeRig()
    rig.refused = {1}
    rig.publish(1)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 1)
        rig.consumer.fetch([message(7, 1, key="k1"), message(8, 2)])
        await rig.until(lambda: rig.next_offset == 3)
        rig.consumer.fetch([message(9, 3)])  # the batch after one that was refused goes by items, whatever is in it
        await rig.until(lambda: rig.next_offset == 4)
        rig.consumer.fetch([message(10, 4)])
        await rig.until(lambda: rig.next_offset == 5)
    assert rig.delivered == [8, 9, 10]
    assert rig.whole == [[10]]


@pytest.mark.parametrize(("on_failure", "key"), [(OnFailure.SKIP, "k9"), (OnFailure.PARK, None)])
async def test_while_anything_waits_a_record_that_is_its_own_order_goes_by_items(
    on_failure: OnFailure, key: str | None
) -> None:
    rig = WholeRig(on_failure=on_failure)
    rig.refused = {1}
    rig.publish(1)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 1)
        rig.consumer.fetch([message(9, 1, **({} if key else {"key": None}))])
        await rig.until(lambda: rig.next_offset == 2)
    assert (rig.delivered, rig.whole) == ([9], [])


async def test_redriven_records_go_by_items() -> None:
    rig = WholeRig()
    rig.refused = {1}
    rig.publish(1)
    async with rig.running():
        rig.consumer.assign(P0, R0)
        await rig.until(lambda: rig.next_offset == 1)
        rig.refused = set()
        tried = rig.tried
        rig.consumer.fetch(rig.redrive(1))
        await rig.until(lambda: rig.delivered == [1])
    assert rig.tried == tried
    assert not rig.store.contents.parked


async def test_a_retry_of_the_whole_counts_as_an_attempt_and_the_last_one_goes_by_items() -> None:
    rig = WholeRig()
    rig.answers = [Retryable("later")] * 10
    rig.publish(1, 2)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 2)
    assert (rig.whole, rig.delivered) == ([], [1, 2])
    assert rig.tried < 10


async def test_an_answer_that_was_lost_is_not_written_twice() -> None:
    rig = WholeRig()
    rig.store.lose_next_answer = True
    rig.publish(1, 2)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.delivered == [1, 2])
        rig.consumer.fetch([message(3, 2)])
        await rig.until(lambda: rig.next_offset == 3)
    assert rig.delivered == [1, 2, 3]


async def test_a_fenced_worker_writes_nothing() -> None:
    rig = WholeRig()
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.consumer.starts)
        await rig.taken_over_by_another(P0)
        rig.consumer.fetch(rig.publish(1))
        await rig.until(lambda: rig.consumer.done == 1)
    assert (rig.tried, rig.delivered) == (1, [])


async def test_a_sink_with_a_mapping_goes_by_items() -> None:
    rig = WholeRig(mapping=lambda event: [{"n": event.data["n"]}])
    rig.publish(1)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 1)
    assert (rig.tried, rig.delivered) == (0, [1])


async def test_only_what_is_still_due_is_written() -> None:
    rig = WholeRig()
    rig.publish(1, 2)
    async with rig.running():
        rig.consumer.assign(P0)
        await rig.until(lambda: rig.next_offset == 2)
        rig.consumer.fetch([*rig.consumer.records[P0], message(3, 2)])
        await rig.until(lambda: rig.next_offset == 3)
    assert rig.delivered == [1, 2, 3]
    assert rig.whole == [[1, 2]]
