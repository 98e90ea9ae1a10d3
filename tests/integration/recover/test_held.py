"""An owner whose transactions are late, or end nobody knows how: he goes on, unless his job has gone to another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from mainstem.codec.message import Message
from mainstem.errors import Fenced
from mainstem.kafka.transaction_run import LATE_S
from mainstem.recover.job_states import Happening
from mainstem.recover.replay import JOBS, Extent, Job, JobState, Outcome
from tests.integration.recover.conftest import Shop
from tests.integration.recover.test_replay import EVENTS, Target, in_order, kept, origins_of, running
from tests.proxies.kafka import Held, KafkaProxy
from tests.proxies.kafka_wire import Api

pytestmark = pytest.mark.stack


@pytest.fixture
def proxy(shop: Shop) -> Iterator[KafkaProxy]:
    host, _, port = shop.config["bootstrap.servers"].rpartition(":")
    with KafkaProxy(host, int(port)) as made:
        yield made


def behind(shop: Shop, proxy: KafkaProxy, **more: Any) -> Shop:
    return replace(shop, config={**shop.config, "bootstrap.servers": proxy.address, **more})


async def test_a_replay_whose_commits_are_late_goes_on(shop: Shop, proxy: KafkaProxy) -> None:
    everything = origins_of(await asyncio.to_thread(shop.publish, EVENTS))
    job = await asyncio.to_thread(kept_plan, shop)
    target, late = Target(), 0

    async def slow(messages: Sequence[Message]) -> Outcome:
        nonlocal late
        if late < 2:
            late += 1
            held = proxy.hold_request(Api.END_TXN)
            asyncio.get_running_loop().run_in_executor(None, _release_late, held)
        return await target(messages)

    done = await running(behind(shop, proxy), job, slow)

    assert late == 2
    assert (done.state, done.delivered) == (JobState.DONE, len(EVENTS))
    assert sorted(target.origins) == everything
    assert in_order(target.origins)


@pytest.mark.parametrize("cut", [False, True])
async def test_a_replay_that_does_not_hear_of_its_commit_looks_it_up_and_goes_on(
    shop: Shop, proxy: KafkaProxy, cut: bool
) -> None:
    everything = origins_of(await asyncio.to_thread(shop.publish, EVENTS))
    job = await asyncio.to_thread(kept_plan, shop)
    target, lost = Target(), 0

    async def losing(messages: Sequence[Message]) -> Outcome:
        nonlocal lost
        if not lost:
            lost += 1
            proxy.drop_answer(Api.END_TXN, cut=cut)
        return await target(messages)

    done = await running(behind(shop, proxy, **{"transaction.timeout.ms": 2000}), job, losing)

    assert (done.state, done.delivered) == (JobState.DONE, len(EVENTS))
    assert sorted(target.origins) == everything  # nothing was delivered again for want of an answer


async def test_one_whose_job_has_gone_to_another_leaves_it_alone(shop: Shop, proxy: KafkaProxy) -> None:
    await asyncio.to_thread(shop.publish, EVENTS)
    job = await asyncio.to_thread(kept_plan, shop)
    async with JOBS.hold(behind(shop, proxy).config, job.id) as mine:
        held = proxy.hold_request(Api.END_TXN)
        writing = asyncio.create_task(mine.write(mine.job.on(Happening.BEGIN)))
        await asyncio.to_thread(_release_late, held)
        await writing
        async with JOBS.hold(shop.config, job.id) as successors:
            await successors.write(successors.job.on(Happening.BEGIN))
            with pytest.raises(Fenced):
                await mine.write(mine.job.on(Happening.PAUSE))
            await successors.write(successors.job.on(Happening.PAUSE))  # it was not fenced either
    assert (await asyncio.to_thread(JOBS.find, shop.config, job.id)) == successors.job


def kept_plan(shop: Shop) -> Job:
    return kept(shop, Extent())


def _release_late(held: Held) -> None:
    """As late as the library's own repetition of a request could be: time itself is what is tested here."""
    assert held.arrived.wait(120)
    Event().wait(LATE_S)
    held.release()
