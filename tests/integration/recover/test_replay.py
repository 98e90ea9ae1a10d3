"""Replays on the real broker, into a target that only remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from mainstem.codec import headers as h
from mainstem.codec.message import Message, origin_of
from mainstem.errors import PLAN_CHANGED, Fenced, Misconfigured, Refused, Unreachable
from mainstem.event import Origin, Partition
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.topics import TopicSpec
from mainstem.recover.replay import (
    JOBS,
    Deliver,
    Extent,
    Hole,
    Into,
    Job,
    JobState,
    Outcome,
    Rejection,
    Request,
    Terms,
    plan,
    planned,
    run,
)
from mainstem.recover.wishes import Wishes
from tests.integration.recover.conftest import PARTITIONS, Shop, ids

pytestmark = pytest.mark.stack

EVENTS = [(f"k{n % 7}", f"e{n:03}") for n in range(60)]
QUICK = RetryPolicy(attempts=3, first_s=0.01, max_s=0.02)


@dataclass
class Target:
    """Takes everything, and remembers it."""

    got: list[Message] = field(default_factory=list)

    async def __call__(self, messages: Sequence[Message]) -> Outcome:
        self.got += messages
        return Outcome(len(messages), ())

    @property
    def origins(self) -> list[Origin]:
        return origins_of(self.got)


def origins_of(messages: Sequence[Message]) -> list[Origin]:
    return [origin_of(message) for message in messages]


def request(shop: Shop, extent: Extent, **more: Any) -> Request:
    return Request(shop.part, shop.dlq, [shop.topic], extent, "nothing", **more)


def kept(shop: Shop, extent: Extent, **more: Any) -> Job:
    job = planned(plan(shop.config, request(shop, extent, **more)))
    asyncio.run(JOBS.keep(shop.config, job))
    return job


def replay(shop: Shop, job: Job, deliver: Deliver, batch_records: int = 10) -> Job:
    return asyncio.run(running(shop, job, deliver, batch_records))


async def running(shop: Shop, job: Job, deliver: Deliver, batch_records: int = 10) -> Job:
    async with Wishes(shop.config) as wishes:
        return await run(shop.config, job, Into(deliver), wishes, Terms(retry=QUICK, batch_records=batch_records))


def in_order(origins: Sequence[Origin]) -> bool:
    lines = [[o.offset for o in origins if o.partition == number] for number in range(PARTITIONS)]
    return all(line == sorted(set(line)) for line in lines)


def test_a_replay_delivers_exactly_its_ranges_in_order(shop: Shop) -> None:
    everything = origins_of(shop.publish(EVENTS))
    extent = Extent(
        first={Partition(shop.topic, 0): 3, Partition(shop.topic, 1): 0}, last={Partition(shop.topic, 0): 9}
    )
    job = kept(shop, extent)
    shop.publish([("k1", "too late"), ("k2", "too late"), ("k3", "too late")])
    target = Target()

    done = replay(shop, job, target)

    expected = [o for o in everything if (o.partition == 0 and 3 <= o.offset < 9) or o.partition == 1]
    assert sorted(target.origins) == expected
    assert in_order(target.origins)
    assert (done.state, done.delivered, job.plan.records) == (JobState.DONE, len(expected), len(expected))
    assert JOBS.find(shop.config, job.id) == done


def test_a_replay_leaves_the_live_groups_offsets_alone(shop: Shop) -> None:
    shop.publish(EVENTS)
    group = f"mainstem.{shop.part}"
    live = Consumer({**shop.config, "group.id": group})
    live.commit(offsets=[TopicPartition(shop.topic, 0, 2)], asynchronous=False)
    live.close()
    before = shop.admin.group(group)

    replay(shop, kept(shop, Extent()), Target())

    assert shop.admin.group(group) == before
    assert before.positions[Partition(shop.topic, 0)][0] == 2


def test_a_replay_that_crashed_goes_on_without_skipping_or_starting_over(shop: Shop) -> None:
    everything = origins_of(shop.publish(EVENTS))
    job = kept(shop, Extent())
    target = Target()
    batches: list[int] = []

    async def crashing(messages: Sequence[Message]) -> Outcome:
        outcome = await target(messages)
        batches.append(len(messages))
        if len(batches) == 3:
            raise RuntimeError("the process dies after the effect and before the note")
        return outcome

    with pytest.raises(RuntimeError):
        replay(shop, job, crashing)
    half = JOBS.find(shop.config, job.id)
    before = len(target.got)
    done = replay(shop, half, target)

    assert half.state is JobState.RUNNING
    assert half.delivered == before - batches[-1]
    assert sorted(set(target.origins)) == everything
    assert len(target.got) == len(everything) + batches[-1]  # the batch without a note came again, and only that
    assert done.state is JobState.DONE


def test_what_the_target_says_of_a_repeated_batch_is_counted_apart(shop: Shop) -> None:
    shop.publish(EVENTS)
    job = kept(shop, Extent())

    async def knows_half_already(messages: Sequence[Message]) -> Outcome:
        return Outcome(len(messages) // 2, ())

    done = replay(shop, job, knows_half_already, batch_records=100)

    assert (done.delivered + done.settled_before, done.settled) == (60, 60)
    assert done.settled_before >= 30


def test_rejected_records_are_reported_and_not_dead_lettered(shop: Shop) -> None:
    shop.publish(EVENTS)
    job = kept(shop, Extent())

    async def refusing(messages: Sequence[Message]) -> Outcome:
        refused = [m for m in messages if ids([m]) == ["e007"]]
        rejections = [Rejection(origin_of(m), "MS-105", "closed") for m in refused]
        return Outcome(len(messages) - len(refused), rejections)

    done = replay(shop, job, refusing)

    assert (done.delivered, done.rejected) == (59, 1)
    assert [rejection.code for rejection in JOBS.find(shop.config, job.id).rejections] == ["MS-105"]
    assert shop.read(shop.dlq) == []
    assert shop.read(shop.redrive) == []


def test_a_target_that_is_down_is_waited_for_then_the_replay_stops_and_can_go_on(shop: Shop) -> None:
    everything = origins_of(shop.publish(EVENTS))
    job = kept(shop, Extent())
    target = Target()
    failures: list[int] = []

    async def down(messages: Sequence[Message]) -> Outcome:
        if len(target.got) < 20:
            return await target(messages)
        failures.append(1)
        raise Unreachable("the target does not answer")

    with pytest.raises(Unreachable):
        replay(shop, job, down)
    stopped = JOBS.find(shop.config, job.id)
    done = replay(shop, stopped, target)

    assert len(failures) == QUICK.attempts
    assert stopped.state is JobState.STOPPED
    assert "does not answer" in (stopped.error or "")
    assert sorted(target.origins) == everything
    assert (done.state, done.error) == (JobState.DONE, None)


def test_whoever_resumes_a_replay_fences_the_one_that_still_runs_it(shop: Shop) -> None:
    everything = origins_of(shop.publish(EVENTS))
    job = kept(shop, Extent())
    first, second = Target(), Target()

    async def race() -> tuple[Job, BaseException]:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def hanging(messages: Sequence[Message]) -> Outcome:
            began.set()
            await go_on.wait()
            return await first(messages)

        zombie = asyncio.create_task(running(shop, job, hanging))
        await asyncio.wait_for(began.wait(), 120)
        done = await running(shop, job, second)
        go_on.set()
        (result,) = await asyncio.gather(zombie, return_exceptions=True)
        assert isinstance(result, BaseException)
        return done, result

    done, error = asyncio.run(race())

    assert isinstance(error, Fenced)
    assert sorted(second.origins) == everything
    assert JOBS.find(shop.config, job.id) == done


def test_a_zombie_that_lost_its_target_does_not_take_it_back_from_its_successor(shop: Shop) -> None:
    shop.publish(EVENTS)
    job, calls = kept(shop, Extent()), []

    async def race() -> BaseException:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def lost(messages: Sequence[Message]) -> Outcome:
            calls.append(len(messages))
            began.set()
            await go_on.wait()
            raise Unreachable("the session was ended while the process was stopped")

        zombie = asyncio.create_task(running(shop, job, lost))
        await asyncio.wait_for(began.wait(), 120)
        await running(shop, job, Target())
        go_on.set()
        (result,) = await asyncio.gather(zombie, return_exceptions=True)
        assert isinstance(result, BaseException)
        return result

    assert isinstance(asyncio.run(race()), Fenced)
    assert len(calls) == 1


@pytest.mark.parametrize("what", ["again", "made anew"])
def test_a_plan_that_does_not_hold_any_more_is_refused(shop: Shop, what: str) -> None:
    shop.publish(EVENTS)
    job = kept(shop, Extent())
    changes: dict[str, Callable[[], object]] = {
        "again": lambda: replay(shop, job, Target()),
        "made anew": lambda: (shop.admin.delete([shop.topic]), shop.admin.create([TopicSpec(shop.topic, PARTITIONS)])),
    }
    changes[what]()
    target = Target()

    with pytest.raises(Refused) as refused:
        replay(shop, job, target)

    assert refused.value.code is PLAN_CHANGED
    assert target.got == []


def test_what_retention_has_taken_is_a_hole_in_a_new_plan_and_the_end_of_an_old_one(shop: Shop) -> None:
    shop.publish([("k", f"e{n}") for n in range(9)])
    number = shop.read(shop.topic)[0].partition() or 0
    job = kept(shop, Extent())
    client = AdminClient(dict(shop.config))
    asked = client.delete_records([TopicPartition(shop.topic, number, 4)])
    for future in asked.values():
        future.result()

    made = plan(shop.config, request(shop, Extent()))
    with pytest.raises(Refused, match="no longer holds offsets 0 to 3"):
        replay(shop, job, Target())

    assert (made.records, made.holes) == (5, (Hole(shop.topic, number, 0, 4, certain=True),))


def test_a_plan_by_time_takes_what_was_published_since(shop: Shop) -> None:
    old = shop.publish(EVENTS[:10])
    newest_ms = max(message.timestamp()[1] for message in old)
    shop.publish([("k9", "new")])
    since = datetime.fromtimestamp((newest_ms + 1) / 1000, UTC)

    made = plan(shop.config, request(shop, Extent(since=since)))

    assert (made.records, made.keys) == (1, 1)


def test_a_replay_by_event_time_delivers_only_the_events_of_that_time(shop: Shop) -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    for minute in range(5):
        time = h.format_time(noon + timedelta(minutes=minute))
        shop.publish([("k", f"m{minute}")], **{h.TIME: time})
    extent = Extent(noon + timedelta(minutes=1), noon + timedelta(minutes=3), by_event_time=True)
    job = kept(shop, extent)
    target = Target()

    done = replay(shop, job, target)

    assert ids(target.got) == ["m1", "m2"]
    assert (job.plan.records, done.delivered, done.filtered) == (2, 2, 3)


def test_a_plan_counts_keys_and_what_waits_in_the_dead_letters(shop: Shop) -> None:
    shop.refuse(*shop.publish(EVENTS)[:4])

    made = plan(shop.config, request(shop, Extent()))

    assert (made.records, made.keys, made.waiting, made.holes) == (60, 7, 4, ())


def test_a_partition_that_is_not_the_sinks_is_named(shop: Shop) -> None:
    with pytest.raises(Misconfigured, match="does not read elsewhere:0"):
        plan(shop.config, request(shop, Extent(first={Partition("elsewhere", 0): 0})))
