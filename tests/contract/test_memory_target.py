from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest

from mainstem.errors import Unreachable
from mainstem.sdk.sink import Row
from mainstem.testing.memory_target import MemorySink, MemoryStore
from mainstem.testing.sink_contract import ExactlyOnceContract
from mainstem.testing.sink_rig import JOURNAL, P0, Rig, claim, deliver, entry, lines


def _unbalanced(rows: Sequence[Row]) -> bool:
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row["entry"]] += row["amount"]
    return any(sums.values())


class MemoryRig(Rig):
    def __init__(self) -> None:
        self.store = MemoryStore()

    def sink(self, *, key: tuple[str, ...] = (), replace_by: str | None = None) -> MemorySink:
        return MemorySink(
            store=self.store,
            key=key,
            replace_by=replace_by,
            refuse=lambda row: row["amount"] == 0,
            refuse_all=_unbalanced,
        )

    async def rows(self) -> Sequence[tuple[str, int, Decimal]]:
        return sorted((row["entry"], row["line"], row["amount"]) for row in self.store.rows)


class TestMemorySink(ExactlyOnceContract):
    @pytest.fixture
    def rig(self) -> MemoryRig:
        return MemoryRig()


async def test_a_store_that_is_down_answers_unreachable_and_forgets_nothing() -> None:
    rig = MemoryRig()
    async with rig.sink().open(JOURNAL) as target:
        claimed = await claim(target)
        rig.store.reachable = False
        with pytest.raises(Unreachable):
            await deliver(target, claimed, [entry("a", 1, -1)])
        rig.store.reachable = True
        await deliver(target, claimed, [entry("a", 1, -1)])
    assert await rig.rows() == lines("a", 1, -1)


async def test_a_lost_answer_hides_a_commit_that_was_made() -> None:
    rig = MemoryRig()
    async with rig.sink().open(JOURNAL) as target:
        rig.store.lose_next_answer = True
        with pytest.raises(Unreachable):
            await deliver(target, await claim(target), [entry("a", 1, -1)])
        [again] = await target.take_over([P0])
    assert (again.next_offset, await rig.rows()) == (1, lines("a", 1, -1))
