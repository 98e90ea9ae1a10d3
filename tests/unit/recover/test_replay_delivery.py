"""Replayed batches into an exactly-once target whose answer to COMMIT may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from mainstem.app.replay import ReplayDelivery
from mainstem.codec.message import Message
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.errors import Unreachable
from mainstem.event import Event, Partition
from mainstem.flow.item import Item, OnFailure
from mainstem.recover.replay import Outcome
from mainstem.sdk.sink import Claim, Letter, Mapped, ParkedKey, Progress
from tests.unit.recover.letters import TOPIC, FakeMessage, sold

P0 = Partition(TOPIC, 0)


class OneTable:
    """Remembers what is committed; the answer to the first COMMIT is lost, `arrives` or not."""

    def __init__(self, *, arrives: bool) -> None:
        self.arrives = arrives
        self.answers: list[bool] = []
        self.rows: list[str] = []
        self.next_offset: int | None = None
        self.epoch = 0
        self._written: list[str] = []

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        self.epoch += 1
        return [Claim(partition, self.epoch, self.next_offset) for partition in partitions]

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        return ()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[OneTable]:
        self._written = []
        yield self

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        return ()

    async def forget_letters(self, partition: Partition, through: int) -> None:
        raise AssertionError("a replay has no letters")

    async def waiting(self, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        return {}

    async def write(self, records: Sequence[Mapped]) -> None:
        self._written += [record.event.id for record in records]

    async def commit(self, progress: Progress) -> None:
        (step,) = progress.advances
        assert (step.claim.epoch, step.expected) == (self.epoch, self.next_offset)
        is_first, self.answers = not self.answers, [*self.answers, True]
        if self.arrives or not is_first:
            self.rows += self._written
            self.next_offset = step.next_offset
        if is_first:
            raise Unreachable("the connection was cut")


class Plain:
    """Every message is a row."""

    def prepare(self, messages: Sequence[Message]) -> list[Item]:
        made = []
        for message in messages:
            event = Event(id=str(message.offset()))
            made.append(Item(message, P0, event, Mapped(event, [{}]), OnFailure.SKIP))
        return made


def delivery(table: OneTable) -> ReplayDelivery:
    plan = SinkPlan("shop", "journal", [TOPIC], "g", None, None, lambda event: [])
    return ReplayDelivery(plan, cast(Preparer, Plain()), table)


@pytest.mark.parametrize("arrives", [True, False])
def test_after_a_lost_answer_the_target_is_asked_and_each_record_is_there_once(arrives: bool) -> None:
    table = OneTable(arrives=arrives)
    batch: list[FakeMessage] = [sold(offset, "e") for offset in range(3)]

    async def doing() -> list[Outcome]:
        deliver = delivery(table)
        with pytest.raises(Unreachable):
            await deliver(batch)
        return [await deliver(batch), await deliver([sold(3, "e")])]

    again, after = asyncio.run(doing())

    assert table.rows == ["0", "1", "2", "3"]
    assert (again.delivered, after.delivered) == (0 if arrives else 3, 1)
