"""A replay into the very table of a live sink: the live worker's books are not touched, and it is not kept waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mainstem import devstack
from mainstem.app.replay import replay_delivery
from mainstem.app.services import Services
from mainstem.codec.message import Message
from mainstem.kafka.topics import GroupState
from mainstem.recover.replay import JOBS, Extent, Into, Job, JobState, Outcome, Request, plan, planned, run
from mainstem.recover.wishes import Wishes
from tests.demo_copy import DemoCopy, copy_demo
from tests.integration.deliver.test_sink_worker import count, letters, payment, publish, query, running, statuses, until

pytestmark = pytest.mark.stack

OWN = "SELECT * FROM mainstem_offsets WHERE sink = '{}.journal' ORDER BY topic, partition"
PARKED = "SELECT sink, topic, key, event_id, seq FROM mainstem_parked ORDER BY seq"
HISTORY = 300
CLOSED = 3
"""Payments to an account that is not in the chart: each parks its key."""
MORE = 200
RATE = 50.0
"""Records a second: several batches of the replay fall into the live load."""


@pytest.fixture
def demo(tmp_path: Path, stack: devstack.Stack) -> DemoCopy:
    return copy_demo(tmp_path, stack)


@pytest.fixture
def services(demo: DemoCopy) -> Iterator[Services]:
    with demo.services() as connected:
        yield connected


@dataclass(frozen=True)
class Books:
    """What belongs to the live worker."""

    group: GroupState
    offsets: list[tuple[Any, ...]]
    parked: list[tuple[Any, ...]]
    letters: int
    statuses: dict[str, str]

    @property
    def epochs(self) -> list[tuple[Any, ...]]:
        return [(row[1], row[2], row[4]) for row in self.offsets]


def look(demo: DemoCopy, services: Services) -> Books:
    sink = services.project.sinks[0]
    return Books(
        group=services.admin.group(sink.group),
        offsets=query(demo, OWN.format(demo.integration)),
        parked=query(demo, PARKED),
        letters=len(letters(services, demo.dlq)),
        statuses=statuses(services, demo.dlq),
    )


def planned_all(services: Services, records_s: float | None) -> Job:
    sink = services.project.sinks[0]
    part = f"{sink.integration}.{sink.name}"
    request = Request(part, sink.dead_letters, sink.topics, Extent(), "replaced", records_s=records_s)
    return planned(plan(services.config, request))


async def replay(services: Services, job: Job, go_on: asyncio.Event | None = None) -> Job:
    """Runs it to its end; halfway it waits for `go_on`, so that it is still at work whatever else happens till then."""
    await JOBS.keep(services.config, job)
    begun = 0

    async with (
        Wishes(services.config) as wishes,
        replay_delivery(services, services.project.sinks[0], job.id) as deliver,
    ):

        async def waiting_halfway(messages: Sequence[Message]) -> Outcome:
            nonlocal begun
            begun += len(messages)
            if go_on is not None and begun > job.plan.records / 2:
                await go_on.wait()
            return await deliver(messages)

        return await run(services.config, job, Into(waiting_halfway), wishes)


async def publish_history(demo: DemoCopy, services: Services) -> None:
    closed = [payment(9000 + n, department="SPIRITS") for n in range(CLOSED)]
    await publish(demo, [*closed, *(payment(n) for n in range(HISTORY))], services)


def is_settled(demo: DemoCopy, services: Services, payments: int) -> Callable[[], bool]:
    """Whether all is booked, parked and committed for the lag's display too."""
    group = services.project.sinks[0].group
    return lambda: (
        count(demo) == 2 * payments
        and len(letters(services, demo.dlq)) == CLOSED
        and services.admin.group(group).lag == 0
    )


async def test_beside_an_idle_live_worker_nothing_of_its_books_changes(demo: DemoCopy, services: Services) -> None:
    await publish_history(demo, services)
    async with running(demo, services):
        await until(is_settled(demo, services, HISTORY))
        before = await asyncio.to_thread(look, demo, services)
        job = await asyncio.to_thread(planned_all, services, None)
        done = await replay(services, job)
        after = await asyncio.to_thread(look, demo, services)

    assert (done.state, done.delivered, done.rejected) == (JobState.DONE, HISTORY, CLOSED)
    assert job.plan.waiting == CLOSED
    assert after == before
    assert before.group.members == 1
    assert len(before.parked) == CLOSED
    assert count(demo) == 2 * HISTORY


async def test_during_live_load_the_live_worker_goes_on_and_only_it_moves_its_books(
    demo: DemoCopy, services: Services
) -> None:
    await publish_history(demo, services)
    seen: list[Books] = []
    async with running(demo, services):
        await until(is_settled(demo, services, HISTORY))
        before = await asyncio.to_thread(look, demo, services)
        job = await asyncio.to_thread(planned_all, services, RATE)
        live_is_done = asyncio.Event()
        replaying = asyncio.create_task(replay(services, job, live_is_done))
        for share in range(0, MORE, 50):
            await publish(demo, [payment(HISTORY + share + n) for n in range(50)], services)
            seen.append(await asyncio.to_thread(look, demo, services))
        await until(is_settled(demo, services, HISTORY + MORE))
        assert not replaying.done()
        live_is_done.set()
        done = await replaying
        after = await asyncio.to_thread(look, demo, services)

    assert (done.state, done.settled) == (JobState.DONE, HISTORY + CLOSED)
    for books in [*seen, after]:
        assert (books.epochs, books.parked) == (before.epochs, before.parked)
        assert (books.group.members, books.letters, books.statuses) == (1, before.letters, before.statuses)
    _only_forwards([before, *seen, after])
    assert after.group.lag == 0
    assert sum(at or 0 for at, _ in after.group.positions.values()) == HISTORY + CLOSED + MORE
    assert [row[3] for row in after.offsets if row[1] == demo.payments] == [
        at for partition, (at, _) in sorted(after.group.positions.items()) if partition.topic == demo.payments
    ]


def _only_forwards(history: list[Books]) -> None:
    for earlier, later in pairwise(history):
        for partition, (at, _) in earlier.group.positions.items():
            assert (later.group.positions[partition][0] or 0) >= (at or 0), partition
