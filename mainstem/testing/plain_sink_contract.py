# ruff: noqa: S101 - asserts are what a contract is made of
"""What every plain sink must pass. A connector's test gives a rig and inherits the tests:

class TestMySink(PlainSinkContract):
    @pytest.fixture
    def rig(self) -> PlainRig: ...

They run the sink under its real worker, with Kafka's ledger in memory: the worker crashes between effect and commit, a
successor delivers again, records are refused, the target goes away. What the sink declares is what it is held to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

import pytest

from mainstem.errors import Rejected, Unreachable
from mainstem.event import Event
from mainstem.sdk.sink import Guarantee, Mapped, Row, Sink
from mainstem.testing.memory_ledger import MemoryLedger
from mainstem.testing.plain_run import DLQ, WINDOW_RECORDS, running

KEYS = 7
RECORDS = 60


class PlainRig(ABC):
    """A fresh target for one test."""

    @abstractmethod
    def sink(self) -> Sink:
        """A sink into it; two sinks of one rig write into the same one."""

    @abstractmethod
    async def effects(self) -> Sequence[str]:
        """The ids of the events that were written, in order, as whoever uses the target sees them: of an IDEMPOTENT
        sink without the repeats that the target drops."""

    def row(self, event: Event) -> Row:
        """A row that the target takes."""
        return {"id": event.id, "key": event.key}

    def refuse(self, event_id: str) -> bool:
        """From now on the target refuses that event. False: it cannot refuse a single record."""
        return False

    async def go_away(self) -> bool:
        """From now on the target does not answer. False: it cannot be away."""
        return False

    async def come_back(self) -> None:  # noqa: B027 - there is nothing to do for a target that is never away
        """It answers again."""


class PlainSinkContract(ABC):
    """Inherit, and give the rig."""

    @pytest.fixture
    @abstractmethod
    def rig(self) -> PlainRig: ...

    async def test_the_target_is_there(self, rig: PlainRig) -> None:
        await rig.sink().check()

    async def test_all_is_written_in_the_order_of_each_key(self, rig: PlainRig) -> None:
        records = made(rig)
        async with running(rig.sink(), MemoryLedger(DLQ)) as run:
            run.give(records)
            await run.settled(RECORDS)
        effects = await rig.effects()
        assert Counter(effects) == Counter(ids(records)), "each once: nothing went wrong"
        assert in_order(effects, records)

    async def test_a_crash_between_effect_and_commit_loses_nothing_and_repeats_no_more_than_promised(
        self, rig: PlainRig
    ) -> None:
        records, ledger = made(rig), MemoryLedger(DLQ)
        async with running(rig.sink(), ledger) as run:
            ledger.is_reachable = False
            run.give(records)
            await run.until(lambda: run.finished >= RECORDS // 2)
        ledger.is_reachable = True
        async with running(rig.sink(), ledger) as run:
            run.give(records)
            await run.settled(RECORDS)
        effects = await rig.effects()
        assert set(effects) == set(ids(records))
        assert in_order(list(dict.fromkeys(effects)), records)
        repeats = len(effects) - RECORDS
        assert repeats <= (0 if rig.sink().guarantee is Guarantee.IDEMPOTENT else WINDOW_RECORDS)

    async def test_an_edited_event_is_no_repeat(self, rig: PlainRig) -> None:
        """It has the same id, and a revision of its own."""
        first = record(rig, 0)
        edited = Mapped(first.event.replace(revision=1), first.rows)
        async with running(rig.sink(), MemoryLedger(DLQ)) as run:
            run.give([first, edited])
            await run.settled(2)
        assert list(await rig.effects()) == [first.event.id] * 2

    async def test_an_event_that_maps_to_nothing_is_delivered_too(self, rig: PlainRig) -> None:
        async with running(rig.sink(), MemoryLedger(DLQ)) as run:
            run.give([Mapped(Event(id="nothing", key="k"), ()), record(rig, 1)])
            await run.settled(2)
        assert [event_id for event_id in await rig.effects() if event_id != "nothing"] == ["r1"]

    async def test_a_refused_record_is_a_letter_with_those_behind_it_and_the_others_are_written(
        self, rig: PlainRig
    ) -> None:
        records, ledger = made(rig), MemoryLedger(DLQ)
        refused = records[RECORDS // 2]
        if not rig.refuse(refused.event.id):
            pytest.skip("this target refuses no single record")
        async with running(rig.sink(), ledger) as run:
            run.give(records)
            await run.settled(RECORDS)
        behind = [r for r in records[RECORDS // 2 :] if r.event.key == refused.event.key]
        assert set(ledger.waiting()) == set(ids(behind))
        assert Counter(await rig.effects()) == Counter(ids(records)) - Counter(ids(behind))

    async def test_the_refusal_does_not_tell_the_values(self, rig: PlainRig) -> None:
        refused = Mapped(Event(id="r0", key="canary-key"), [rig.row(Event(id="r0", key="canary-key"))])
        if not rig.refuse("r0"):
            pytest.skip("this target refuses no single record")
        async with rig.sink().open() as write:
            with pytest.raises(Rejected) as refusal:
                await write([refused])
        assert "canary" not in f"{refusal.value}{refusal.value.__cause__}{refusal.value.__context__}"

    async def test_a_target_that_is_away_is_unreachable_and_costs_no_record_an_attempt(self, rig: PlainRig) -> None:
        records, ledger = made(rig), MemoryLedger(DLQ)
        if not await rig.go_away():
            pytest.skip("this target is never away")
        async with rig.sink().open() as write:
            with pytest.raises(Unreachable):
                await write([records[0]])
        async with running(rig.sink(), ledger) as run:
            run.give(records)
            await rig.come_back()
            await run.settled(RECORDS)
        assert ledger.letters() == []
        assert set(await rig.effects()) == set(ids(records))


def record(rig: PlainRig, n: int) -> Mapped:
    """The n-th record, of one of a few keys."""
    event = Event(id=f"r{n}", key=f"k{n % KEYS}")
    return Mapped(event, [rig.row(event)])


def made(rig: PlainRig) -> list[Mapped]:
    return [record(rig, n) for n in range(RECORDS)]


def ids(records: Sequence[Mapped]) -> list[str]:
    return [each.event.id for each in records]


def in_order(effects: Sequence[str], records: Sequence[Mapped]) -> bool:
    """Whether those of each key stand in the order of the records."""
    keys = {each.event.id: each.event.key for each in records}
    for key in set(keys.values()):
        seen = [event_id for event_id in effects if keys[event_id] == key]
        wanted = [event_id for event_id in ids(records) if keys[event_id] == key and event_id in seen]
        if seen != wanted:
            return False
    return True
