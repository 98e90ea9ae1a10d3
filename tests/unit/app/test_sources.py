"""An integration's sources, and a group that says what tests want it to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mainstem.app import keep, sources
from mainstem.app.services import Services
from mainstem.app.sources import Pulled, Sources
from mainstem.errors import FENCED, Fenced, Unreachable
from mainstem.event import Partition
from mainstem.ingest.tasks import PARTITIONS, TASKS, partition_of
from mainstem.kafka.consumer import Assigned, Failed, Revoked
from mainstem.observe.board import Board, State
from mainstem.project.model import SourceSpec
from mainstem.sdk.source import Source

DEADLINE_S = 60.0
NAMES = ("a", "b")
PARTS = [f"shop.{name}" for name in NAMES]


class Group:
    """In the place of a GroupConsumer."""

    def __init__(self, *_: object) -> None:
        self.said: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Group:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nobody has to be told."""

    async def happenings(self) -> AsyncIterator[Any]:
        while (happening := await self.said.get()) is not None:
            yield happening

    def leave(self) -> None:
        self.said.put_nowait(None)


class Work:
    """In the place of a PullIngest: does nothing until it is stopped, and is as slow to end as a test wants."""

    def __init__(self, part: str, ends: asyncio.Event) -> None:
        self.name = part
        self.first_pass = asyncio.Event()
        self.robbed = asyncio.Event()
        self.is_at_work = False
        self._ends = ends

    async def run(self, stop: asyncio.Event) -> None:
        self.is_at_work = True
        ending = [asyncio.create_task(event.wait()) for event in (stop, self.robbed)]
        try:
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
            await self._ends.wait()
        finally:
            self.is_at_work = False
            for waiting in ending:
                waiting.cancel()


class World:
    """Two sources, the board, the group, and every stretch of work that was begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.board = Board()
        self.group = Group()
        self.works: list[Work] = []
        self.ends = asyncio.Event()
        self.ends.set()
        self.there = {TASKS: PARTITIONS}
        specs = [SourceSpec(name=name, connector="files", topic="raw.shop.thing.v1") for name in NAMES]
        for spec in specs:
            spec._integration = "shop"
        self.pulled = [Pulled(spec, cast("Source", None)) for spec in specs]
        for part in PARTS:
            self.board.report(part, State.STARTING)
        codec = SimpleNamespace(encoder=lambda _: None, coercer=lambda _: None)
        admin = SimpleNamespace(topics=lambda: self.there)
        services = SimpleNamespace(board=self.board, codec=codec, admin=admin, config={}, member_config={})
        monkeypatch.setattr(sources, "GroupConsumer", lambda *_: self.group)
        monkeypatch.setattr(sources, "EventWriter", lambda *_: None)
        monkeypatch.setattr(sources, "PullIngest", self._work)
        self.sources = Sources(cast("Services", services), "shop", self.pulled)

    def _work(self, integration: str, name: str, *_: object) -> Work:
        self.works.append(Work(f"{integration}.{name}", self.ends))
        return self.works[-1]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.sources.run(stop))
        try:
            yield
        finally:
            self.ends.set()
            stop.set()
            await asyncio.wait_for(task, DEADLINE_S)

    def assign(self, parts: Sequence[str]) -> None:
        self.group.said.put_nowait(Assigned([Partition(TASKS, partition_of(part)) for part in parts]))

    def revoke(self, parts: Sequence[str], left: Callable[[], None] = lambda: None, *, lost: bool = False) -> None:
        self.group.said.put_nowait(Revoked([Partition(TASKS, partition_of(part)) for part in parts], lost, left))

    def at_work(self) -> list[str]:
        return sorted(work.name for work in self.works if work.is_at_work)

    def states(self) -> list[State]:
        return [self.board.parts()[part].state for part in PARTS]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(keep, "PROBE_S", 0.01)
    return World(monkeypatch)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.001)


def test_the_tests_tasks_are_in_two_partitions() -> None:
    assert len({partition_of(part) for part in PARTS}) == 2


async def test_a_source_is_read_where_its_partition_is_and_stands_by_elsewhere(world: World) -> None:
    async with world.running():
        world.assign(PARTS[:1])
        await until(lambda: world.at_work() == PARTS[:1])

        assert world.states() == [State.STARTING, State.STANDBY]  # the first batch makes it running
        assert not world.pulled[0].first_pass.is_set()
        assert world.pulled[1].first_pass.is_set()  # who waits for it would wait for another process
    assert world.states() == [State.STOPPED, State.STOPPED]


async def test_what_comes_back_after_a_rebalance_is_ready_at_once(world: World) -> None:
    async with world.running():
        world.assign(PARTS)
        await until(lambda: world.at_work() == PARTS)
        world.revoke(PARTS)
        world.assign(PARTS)
        await until(lambda: len(world.works) == 4 and world.at_work() == PARTS)

        assert world.states() == [State.RUNNING, State.RUNNING]
        assert not any(pulled.first_pass.is_set() for pulled in world.pulled)


async def test_a_rebalance_waits_for_the_batch_at_hand(world: World) -> None:
    left = asyncio.Event()
    world.ends.clear()
    async with world.running():
        world.assign(PARTS)
        await until(lambda: world.at_work() == PARTS)
        world.revoke(PARTS, left.set)
        await until(world.group.said.empty)
        assert not left.is_set()

        world.ends.set()

        await asyncio.wait_for(left.wait(), DEADLINE_S)
        assert world.at_work() == []
        assert world.states() == [State.STANDBY, State.STANDBY]


async def test_a_source_that_does_not_end_is_given_up_and_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FINISH_S", 0.01)
    left = asyncio.Event()
    world.ends.clear()
    async with world.running():
        world.assign(PARTS)
        await until(lambda: world.at_work() == PARTS)

        world.revoke(PARTS, left.set)

        await asyncio.wait_for(left.wait(), DEADLINE_S)
        assert world.at_work() == []
        world.assign(PARTS)
        await until(lambda: world.at_work() == PARTS)


async def test_a_robbed_source_is_taken_back_after_a_pause_if_it_is_still_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.sources._duty, "fenced", lambda *_: 0.02)
    async with world.running():
        world.assign(PARTS)
        await until(lambda: world.at_work() == PARTS)
        first = world.works[0]
        first.robbed.set()

        await until(lambda: len(world.works) == 3 and world.at_work() == PARTS)

        assert first.first_pass.is_set()


async def test_a_robbed_source_that_the_group_takes_away_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.sources._duty, "fenced", lambda *_: 3600.0)
    left = asyncio.Event()
    async with world.running():
        world.assign(PARTS)
        await until(lambda: world.at_work() == PARTS)
        for work in world.works:
            work.robbed.set()
        await until(lambda: not world.at_work())

        world.revoke(PARTS, left.set, lost=True)

        await asyncio.wait_for(left.wait(), DEADLINE_S)
        assert world.states() == [State.STANDBY, State.STANDBY]


async def test_without_the_groups_topic_every_source_says_so_and_goes_on_when_it_is_there(world: World) -> None:
    world.there = {TASKS: PARTITIONS - 1}
    async with world.running():
        await until(lambda: world.states() == [State.PAUSED, State.PAUSED])
        assert {status.code for status in world.board.parts().values()} == {"MS-206"}

        world.there = {TASKS: PARTITIONS}
        world.assign(PARTS[1:])

        await until(lambda: world.at_work() == PARTS[1:])
        assert world.board.parts()[PARTS[0]].state is State.STANDBY


async def test_what_keeps_the_group_from_being_joined_is_on_the_board_until_it_is(world: World) -> None:
    async with world.running():
        world.group.said.put_nowait(Failed(Unreachable("no coordinator")))
        await until(lambda: world.states() == [State.WAITING, State.WAITING])

        world.assign([])
        await until(lambda: world.states() == [State.STANDBY, State.STANDBY])

        world.group.said.put_nowait(Failed(Fenced("a member's passing trouble", code=FENCED)))
        await until(world.group.said.empty)
        assert world.states() == [State.STANDBY, State.STANDBY]

        world.revoke([])
        world.group.said.put_nowait(Failed(Unreachable("no coordinator")))
        await until(lambda: world.states() == [State.WAITING, State.WAITING])
