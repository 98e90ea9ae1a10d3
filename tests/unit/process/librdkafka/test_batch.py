"""Steps over whole batches; what is written goes into a list."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from mainstem.process.librdkafka import batch
from mainstem.process.librdkafka.batch import Step, StepRunner
from mainstem.process.librdkafka.blame import Blame, RecordFailed
from mainstem.process.librdkafka.event import Event

SOURCE = TP("orders", 0)


@dataclass(frozen=True)
class Record:
    """A record as the client library gives it."""

    number: int
    text: bytes
    name: bytes = b"k"

    def key(self) -> bytes:
        return self.name

    def value(self) -> bytes:
        return self.text

    def headers(self) -> list[tuple[str, bytes]]:
        return [("n", str(self.number).encode())]

    def topic(self) -> str:
        return SOURCE.topic

    def partition(self) -> int:
        return SOURCE.partition

    def offset(self) -> int:
        return self.number

    def timestamp(self) -> tuple[int, int]:
        return 1, 1000


@dataclass
class Place:
    """Where a step runs: what its worker has of the app."""

    retries: int = 0
    in_transaction: bool = True
    written: list[tuple[Any, ...]] = field(default_factory=list)
    letters: list[tuple[int, str]] = field(default_factory=list)
    advances: list[int] = field(default_factory=list)
    leaves_after: float = inf
    """When so many advances were told, a commit cannot wait for what has not begun."""
    left: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blame: Blame[TP] = Blame(self.retries)
        self.engine = SimpleNamespace(retries=self.retries)
        self.producer = SimpleNamespace(write_all=self.written.extend)
        account = SimpleNamespace(
            advanced=lambda tp, records: self.advances.append(records),
            leaves=lambda message: len(self.advances) >= self.leaves_after,
            left=lambda message, done: self.left.append(done),
        )
        self.consumer = SimpleNamespace(blame=self.blame, dead_letter=self._letter, account=account)

    def _letter(self, tp: TP, offset: int, key: Any, value: Any, error: BaseException) -> None:
        self.letters.append((offset, str(error)))

    async def run(
        self,
        function: Any,
        records: Sequence[Record],
        *,
        table: Any = None,
        concurrency: int = 1,
        writes: str | None = "invoices",
    ) -> None:
        step = Step(function, writes, table, lambda raw: (raw or b"").decode(), str.encode, concurrency)
        await StepRunner(self, step).run(Batch(records))

    def values(self) -> list[bytes]:
        return [record[2] for record in self.written]


class Batch:
    """A stream of one batch."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self.current_event = SimpleNamespace(message=SimpleNamespace(tp=SOURCE))

    async def __aiter__(self) -> AsyncIterator[Sequence[Record]]:
        yield self._records


def upper(event: Event, table: Any) -> Event:
    if event.value == "bad":
        raise ValueError(event.value)
    return event.with_value(event.value.upper())


async def upper_later(event: Event, table: Any) -> Event:
    await asyncio.sleep(0)
    return upper(event, table)


FORMS = pytest.mark.parametrize(("function", "concurrency"), [(upper, 1), (upper_later, 1), (upper_later, 4)])


@FORMS
async def test_each_event_of_a_batch_is_written_in_order_with_its_key_and_headers(
    function: Any, concurrency: int
) -> None:
    place = Place()
    await place.run(function, [Record(n, f"v{n}".encode()) for n in range(3)], concurrency=concurrency)
    assert place.values() == [b"V0", b"V1", b"V2"]
    assert place.written[1] == ("invoices", b"k", b"V1", [("n", b"1")], -1)


@FORMS
async def test_a_record_that_raises_is_a_dead_letter_and_the_others_go_on(function: Any, concurrency: int) -> None:
    place = Place()
    await place.run(function, [Record(0, b"a"), Record(1, b"bad"), Record(2, b"c")], concurrency=concurrency)
    assert place.values() == [b"A", b"C"]
    assert place.letters == [(1, "bad")]


@FORMS
async def test_with_a_table_a_record_that_raises_takes_the_batch_with_it(function: Any, concurrency: int) -> None:
    place = Place()
    with pytest.raises(RecordFailed) as failed:
        await place.run(function, [Record(0, b"a"), Record(1, b"bad")], table={}, concurrency=concurrency)
    assert failed.value.offset == 1
    assert isinstance(failed.value.error, ValueError)
    assert place.written == []


@FORMS
async def test_poison_is_dead_lettered_without_being_tried_again(function: Any, concurrency: int) -> None:
    place = Place()
    place.blame.failed(SOURCE, 1, ValueError("it was bad"))
    await place.run(function, [Record(0, b"a"), Record(1, b"fine by now")], table={}, concurrency=concurrency)
    assert place.values() == [b"A"]
    assert place.letters == [(1, "it was bad")]


async def test_at_least_once_a_failure_with_a_table_is_a_dead_letter_in_place() -> None:
    place = Place(in_transaction=False)
    await place.run(upper, [Record(0, b"bad"), Record(1, b"b")], table={})
    assert (place.values(), place.letters) == ([b"B"], [(0, "bad")])


async def test_a_record_is_tried_as_often_as_it_is_said() -> None:
    place, calls = Place(retries=2), [0]

    def third_time_lucky(event: Event, table: Any) -> Event:
        calls[0] += 1
        if calls[0] < 3:
            raise ValueError("not yet")
        return event

    await place.run(third_time_lucky, [Record(0, b"a")])
    assert (calls[0], place.values(), place.letters) == (3, [b"a"], [])


async def test_a_step_may_return_nothing_or_several_events() -> None:
    place = Place()

    def split(event: Event, table: Any) -> list[Event] | None:
        return [event.with_value(part, part.encode()) for part in event.value.split()] or None

    await place.run(split, [Record(0, b"a b"), Record(1, b" ")])
    assert [record[1:3] for record in place.written] == [(b"a", b"a"), (b"b", b"b")]


async def test_what_cannot_be_encoded_leaves_none_of_its_records_outputs() -> None:
    place = Place()

    def half(event: Event, table: Any) -> list[Event]:
        return [event, event.with_value(17)]

    await place.run(half, [Record(0, b"a")])
    assert place.written == []
    assert [offset for offset, _ in place.letters] == [0]


async def test_an_event_from_a_step_that_writes_no_topic_is_a_dead_letter_that_says_so() -> None:
    place = Place()
    await place.run(upper, [Record(0, b"a")], writes=None)
    assert place.written == []
    assert [offset for offset, error in place.letters if "which topic" in error] == [0]


async def test_keys_run_beside_each_other_and_the_events_of_a_key_in_order() -> None:
    place, running, most = Place(), [0], [0]
    order: dict[bytes | None, list[int]] = defaultdict(list)

    async def watch(event: Event, table: Any) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0)
        order[event.key].append(event.offset)
        running[0] -= 1

    records = [Record(n, b"", f"k{n % 3}".encode()) for n in range(12)]
    await place.run(watch, records, concurrency=2)
    assert most[0] == 2
    assert all(offsets == sorted(offsets) for offsets in order.values())


async def test_a_long_batch_of_a_step_that_never_waits_leaves_turns_to_others_and_tells_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "TURN_S", 0.0)
    place, turns = Place(), [0]

    async def others() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await place.run(upper, [Record(n, b"a") for n in range(10)])
    task.cancel()
    assert turns[0] >= 9
    assert place.advances == list(range(10))


async def test_records_of_keys_beside_each_other_tell_how_many_are_done() -> None:
    place = Place()
    await place.run(upper_later, [Record(n, b"a", f"k{n}".encode()) for n in range(5)], concurrency=2)
    assert place.advances == [1, 2, 3, 4, 5]


async def test_a_step_leaves_its_batch_in_the_middle_for_a_commit_that_cannot_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "TURN_S", 0.0)
    place = Place(leaves_after=4)
    await place.run(upper, [Record(n, f"v{n}".encode()) for n in range(10)])
    assert place.left == [3]
    assert place.values() == [b"V0", b"V1", b"V2"]


async def test_keys_that_run_beside_each_other_leave_it_without_a_gap() -> None:
    place = Place(leaves_after=7)
    records = [Record(n, f"v{n}".encode(), b"busy" if n % 2 else f"k{n}".encode()) for n in range(40)]
    await place.run(upper_later, records, concurrency=3)
    [left] = place.left
    assert 7 <= left < 40
    assert place.values() == [f"V{n}".encode() for n in range(left)]
