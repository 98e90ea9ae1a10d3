"""A replay is paused and cancelled from elsewhere, whether its process obeys, hangs or is dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from mainstem.codec.message import Message
from mainstem.errors import Fenced, Misconfigured, Refused, Unreachable
from mainstem.flow.retry import RetryPolicy
from mainstem.recover.replay import (
    JOBS,
    Extent,
    Happening,
    Into,
    Job,
    JobState,
    Outcome,
    Terms,
    run,
)
from mainstem.recover.wishes import Wish, Wishes, express
from tests.integration.recover.conftest import Shop
from tests.integration.recover.test_replay import EVENTS, Target, in_order, kept, origins_of, running

pytestmark = pytest.mark.stack

OBEYED_S = 120
"""A second or so; here only told from never, for a machine that others use too gives no figures."""


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("wish", "state"), [(Wish.PAUSE, JobState.PAUSED), (Wish.CANCEL, JobState.CANCELLED)], ids=str)
def test_a_running_replay_obeys_between_two_batches(shop: Shop, wish: Wish, state: JobState) -> None:
    shop.publish(EVENTS)
    job, target = kept(shop, Extent(), records_s=1), Target()

    async def doing() -> tuple[Job, Job]:
        task = asyncio.create_task(running(shop, job, target))
        await until(lambda: target.got)
        asked = asyncio.create_task(JOBS.ask(shop.config, job.id, wish, "ann"))
        return await task, await asked

    ended, asked = asyncio.run(doing())

    assert ended == asked == JOBS.find(shop.config, job.id)
    assert (ended.state, ended.delivered, ended.error) == (state, len(target.got), None)
    assert 0 < len(target.got) < len(EVENTS)


def test_a_rate_of_one_in_ten_minutes_is_no_reason_to_be_late(shop: Shop) -> None:
    shop.publish(EVENTS)
    job, target = kept(shop, Extent(), records_s=1 / 600), Target()

    async def doing() -> Job:
        async with Wishes(shop.config) as wishes:
            task = asyncio.create_task(run(shop.config, job, Into(target), wishes))
            await until(lambda: target.got)
            wishes.note(job.id, Wish.PAUSE)
            return await asyncio.wait_for(task, OBEYED_S)

    ended = asyncio.run(doing())

    assert (ended.state, len(target.got)) == (JobState.PAUSED, 1)


def test_a_paused_replay_goes_on_where_it_was_and_is_not_paused_by_the_old_wish(shop: Shop) -> None:
    everything = origins_of(shop.publish(EVENTS))
    job, target = kept(shop, Extent(), records_s=20), Target()

    async def doing() -> tuple[Job, Job]:
        task = asyncio.create_task(running(shop, job, target))
        await until(lambda: target.got)
        await express(shop.config, job.id, Wish.PAUSE, "ann")
        return await task, await running(shop, job, target)

    paused, done = asyncio.run(doing())

    assert (paused.state, done.state) == (JobState.PAUSED, JobState.DONE)
    assert 0 < paused.delivered < len(everything)
    assert sorted(target.origins) == everything
    assert in_order(target.origins)


def test_a_target_that_is_waited_for_does_not_keep_a_wish_waiting(shop: Shop) -> None:
    shop.publish(EVENTS)
    job = kept(shop, Extent())
    patient = Terms(retry=RetryPolicy(attempts=9, first_s=60, max_s=60))
    tries: list[int] = []

    async def down(messages: Sequence[Message]) -> Outcome:
        tries.append(len(messages))
        raise Unreachable("the target does not answer")

    async def doing() -> Job:
        async with Wishes(shop.config) as wishes:
            task = asyncio.create_task(run(shop.config, job, Into(down), wishes, patient))
            await until(lambda: tries)
            wishes.note(job.id, Wish.PAUSE)
            return await asyncio.wait_for(task, OBEYED_S)

    assert asyncio.run(doing()).state is JobState.PAUSED


def begun(shop: Shop) -> Job:
    """A replay whose process was killed: it is running, says its record, and nobody runs it."""
    return asyncio.run(JOBS.settle(shop.config, kept(shop, Extent()).id, Happening.BEGIN))


@pytest.mark.parametrize(("wish", "state"), [(Wish.PAUSE, JobState.PAUSED), (Wish.CANCEL, JobState.CANCELLED)], ids=str)
def test_a_replay_whose_process_was_killed_is_paused_and_cancelled_all_the_same(
    shop: Shop, wish: Wish, state: JobState
) -> None:
    shop.publish(EVENTS)
    job = begun(shop)

    asked = asyncio.run(JOBS.ask(shop.config, job.id, wish, "ann", obeyed_within_s=0.5))

    assert asked.state is state
    assert JOBS.find(shop.config, job.id) == asked


def test_a_process_that_hangs_is_fenced_and_its_replay_can_be_resumed(shop: Shop) -> None:
    everything = origins_of(shop.publish(EVENTS))
    job, target = kept(shop, Extent()), Target()

    async def doing() -> tuple[Job, BaseException]:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def hanging(messages: Sequence[Message]) -> Outcome:
            began.set()
            await go_on.wait()
            return Outcome(len(messages), ())

        zombie = asyncio.create_task(running(shop, job, hanging))
        await began.wait()
        paused = await JOBS.ask(shop.config, job.id, Wish.PAUSE, "ann", obeyed_within_s=0.5)
        go_on.set()
        (error,) = await asyncio.gather(zombie, return_exceptions=True)
        assert isinstance(error, BaseException)
        assert (await running(shop, paused, target)).state is JobState.DONE
        return paused, error

    paused, error = asyncio.run(doing())

    assert paused.state is JobState.PAUSED
    assert isinstance(error, Fenced)
    assert sorted(target.origins) == everything


def test_a_cancelled_replay_cannot_be_resumed(shop: Shop) -> None:
    shop.publish(EVENTS)
    job, target = begun(shop), Target()
    asyncio.run(JOBS.ask(shop.config, job.id, Wish.CANCEL, "ann", obeyed_within_s=0))

    with pytest.raises(Refused, match=f"replay {job.id} is cancelled"):
        asyncio.run(running(shop, job, target))

    assert target.got == []


def test_cancelling_a_plan_forgets_it_and_pausing_one_is_refused(shop: Shop) -> None:
    shop.publish(EVENTS)
    job = kept(shop, Extent())

    with pytest.raises(Refused, match="is planned"):
        asyncio.run(JOBS.ask(shop.config, job.id, Wish.PAUSE, "ann"))
    asyncio.run(JOBS.ask(shop.config, job.id, Wish.CANCEL, "ann"))

    assert job.id not in JOBS.read(shop.config)
    with pytest.raises(Misconfigured, match="there is no replay"):
        asyncio.run(running(shop, job, Target()))


def test_a_replay_that_is_done_is_not_cancelled(shop: Shop) -> None:
    shop.publish(EVENTS)
    job = kept(shop, Extent())
    asyncio.run(running(shop, job, Target()))

    with pytest.raises(Refused, match="is done"):
        asyncio.run(JOBS.ask(shop.config, job.id, Wish.CANCEL, "ann"))
