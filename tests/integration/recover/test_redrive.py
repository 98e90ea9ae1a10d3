"""Redriving and dropping on the real broker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mainstem.codec import headers as h
from mainstem.errors import PLAN_CHANGED, TARGET_REFUSES, Refused, Rejected
from mainstem.flow.dead_letter import ERROR_HEADERS, FIRST_FAILED_AT, Failure, dead_letter, first_origin
from mainstem.flow.letter_status import DELIVERED, DROPPED, WAITING
from mainstem.recover import redrive
from mainstem.recover.letters import read_letters
from mainstem.recover.redrive import JOBS, Job
from mainstem.recover.replay import JobState
from mainstem.recover.selection import Selection
from mainstem.recover.wishes import Wish, Wishes, express
from tests.backbone_process import until
from tests.integration.recover.conftest import Shop, ids

pytestmark = pytest.mark.stack

EVERYTHING = Selection(everything=True)
EVENTS = [("x", "x1"), ("y", "y1"), ("x", "x2"), ("z", "z1"), ("x", "x3")]
WHO = redrive.Terms("ann")


def plan(shop: Shop, selection: Selection = EVERYTHING, terms: redrive.Terms = WHO, *, drop: bool = False) -> Job:
    """A job that has been written down and not begun."""
    box = read_letters(shop.config, shop.dlq)
    agreed = redrive.plan_drop(box, selection) if drop else redrive.plan(box, selection)
    job = redrive.planned(agreed, box, terms)
    asyncio.run(JOBS.keep(shop.config, job))
    return job


def run(
    shop: Shop, job: Job, *, canary_wait_s: float = 20, on_progress: Callable[[Job], object] = lambda job: None
) -> redrive.Ended:
    async def running() -> redrive.Ended:
        async with Wishes(shop.config) as wishes:
            return await redrive.run(shop.config, job, wishes, redrive.Run(shop.redrive, canary_wait_s, on_progress))

    return asyncio.run(running())


@contextmanager
def sink(shop: Shop, refuses: Callable[[str], bool] = lambda event_id: False) -> Iterator[None]:
    """What a sink's worker does with what is redriven, until the block ends."""
    stop = threading.Event()

    def work() -> None:
        seen = 0
        while not stop.is_set():
            found = shop.read(shop.redrive)
            for message in sorted(found, key=lambda m: m.timestamp())[seen:]:
                _settle(shop, message, refuses)
            seen = len(found)
            stop.wait(0.1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _settle(shop: Shop, message: object, refuses: Callable[[str], bool]) -> None:
    (event_id,) = ids([message])  # type: ignore[list-item]
    if h.DROP in h.as_dict(message.headers()):  # type: ignore[attr-defined]
        shop.send([shop.status_of(message, DROPPED)])  # type: ignore[arg-type]
    elif refuses(event_id):
        failure = Failure(Rejected("still closed", code=TARGET_REFUSES), shop.part, "write")
        shop.send([dead_letter(message, failure, shop.dlq), shop.status_of(message, WAITING)])  # type: ignore[arg-type]
    else:
        shop.send([shop.status_of(message, DELIVERED)])  # type: ignore[arg-type]


def test_letters_reach_the_redrive_topic_as_they_were_in_order_and_in_their_partition(shop: Shop) -> None:
    originals = {name: message for message in shop.publish(EVENTS) for name in ids([message])}
    shop.refuse(*(originals[name] for name in ("x1", "x2", "y1", "x3")))

    job = run(shop, plan(shop)).job

    redriven = shop.read(shop.redrive)
    assert sorted(ids(redriven)) == ["x1", "x2", "x3", "y1"]
    assert [name for name in ids(redriven) if name.startswith("x")] == ["x1", "x2", "x3"]
    for message in redriven:
        original = originals[ids([message])[0]]
        assert (message.key(), message.value()) == (original.key(), original.value())
        assert message.partition() == original.partition()
        assert first_origin(message) == first_origin(original)
        headers = h.as_dict(message.headers())
        assert headers.keys() & ERROR_HEADERS == {FIRST_FAILED_AT}
        assert (headers[h.REDRIVE_ID], headers[h.REDRIVE_COUNT]) == (job.id.encode(), b"1")


def test_the_origin_topic_is_left_alone(shop: Shop) -> None:
    (message,) = shop.publish([("x", "x1")])
    shop.refuse(message)

    run(shop, plan(shop))

    assert len(shop.read(shop.topic)) == 1


def test_a_second_redrive_of_what_was_delivered_plans_nothing(shop: Shop) -> None:
    shop.refuse(*shop.publish(EVENTS))
    run(shop, plan(shop))
    shop.send([shop.status_of(message, DELIVERED) for message in shop.read(shop.redrive)])

    second = redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING)

    assert (second.letters, len(second.not_waiting)) == ((), len(EVENTS))


def test_a_killed_redrive_leaves_nothing_visible_and_the_same_one_resumed_is_whole(shop: Shop) -> None:
    shop.refuse(*shop.publish(EVENTS))
    job = plan(shop)
    script = Path(__file__).with_name("open_transaction.py")
    arguments = [shop.config["bootstrap.servers"], JOBS.transactional_id(job.id), shop.redrive]
    with subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "open\n"
        killed.kill()
    assert shop.read(shop.redrive) == []

    run(shop, job)

    assert sorted(ids(shop.read(shop.redrive))) == sorted(name for _, name in EVENTS)


def test_a_plan_that_is_no_longer_true_is_refused_and_nothing_is_written(shop: Shop) -> None:
    first, second = shop.publish([("x", "x1"), ("x", "x2")])
    shop.refuse(first, second)
    agreed = plan(shop)
    shop.send([shop.status_of(first, DELIVERED)])

    with pytest.raises(Refused) as refused:
        run(shop, agreed)

    assert refused.value.code is PLAN_CHANGED
    assert shop.read(shop.redrive) == []
    assert JOBS.find(shop.config, agreed.id).state is JobState.PLANNED


def test_live_records_that_come_to_wait_behind_do_not_change_the_plan_and_are_not_taken(shop: Shop) -> None:
    first, second = shop.publish([("x", "x1"), ("x", "x2")])
    shop.refuse(first)
    agreed = plan(shop)
    shop.refuse(second)

    assert run(shop, agreed).job.state is JobState.DONE

    assert ids(shop.read(shop.redrive)) == ["x1"]


def test_more_letters_than_one_transaction_takes_all_arrive_once(shop: Shop) -> None:
    count = redrive.BATCH_RECORDS + 37
    shop.refuse(*shop.publish([(f"k{n % 7}", f"e{n:04}") for n in range(count)]))
    sent: list[int] = []

    ended = run(shop, plan(shop), on_progress=lambda job: sent.append(job.sent))

    assert sorted(set(sent)) == [0, redrive.BATCH_RECORDS, count]
    assert (ended.job.state, ended.job.sent, len(ended.letters)) == (JobState.DONE, count, count)
    assert JOBS.find(shop.config, ended.job.id) == ended.job
    assert sorted(ids(shop.read(shop.redrive))) == [f"e{n:04}" for n in range(count)]


def test_a_paused_redrive_that_is_resumed_sends_each_letter_once_and_no_new_one(shop: Shop) -> None:
    shop.refuse(*shop.publish([("x", "x1"), ("y", "y1"), ("x", "x2")]))
    job = plan(shop, terms=redrive.Terms("ann", records_s=0.3))
    asked = threading.Event()

    def pause(now: Job) -> None:
        if now.sent == 1 and not asked.is_set():
            asked.set()
            threading.Thread(target=lambda: asyncio.run(express(shop.config, job.id, Wish.PAUSE, "bob"))).start()

    paused = run(shop, job, on_progress=pause).job
    late = shop.publish([("y", "late")])
    shop.refuse(*(message for message in late if ids([message]) == ["late"]))
    done = run(shop, paused).job

    assert (paused.state, done.state) == (JobState.PAUSED, JobState.DONE)
    assert (paused.sent, done.sent) == (1, 3)
    assert sorted(ids(shop.read(shop.redrive))) == ["x1", "x2", "y1"]


def test_a_cancelled_redrive_is_over(shop: Shop) -> None:
    shop.refuse(*shop.publish([("x", "x1")]))
    job = plan(shop)

    cancelled = asyncio.run(JOBS.ask(shop.config, job.id, Wish.CANCEL, "bob"))

    assert cancelled.state is JobState.CANCELLED
    with pytest.raises(Refused, match="is cancelled"):
        run(shop, job)
    assert shop.read(shop.redrive) == []


def test_what_became_of_a_redrive_is_told_and_what_did_not_settle_in_time_is_open(shop: Shop) -> None:
    shop.refuse(*shop.publish([("x", "x1"), ("y", "y1"), ("z", "z1")]))
    ended = run(shop, plan(shop))
    by_id = {name: message for message in shop.read(shop.redrive) for name in ids([message])}
    shop.send([shop.status_of(by_id["x1"], DELIVERED), shop.status_of(by_id["y1"], WAITING)])

    settled = redrive.await_outcome(shop.config, ended.job, ended.letters, timeout_s=0.5)

    assert (settled.delivered, settled.open) == (1, 1)
    assert [status.event_id for status in settled.failed_again] == ["y1"]
    assert redrive.await_outcome(shop.config, ended.job, timeout_s=0).delivered == 1, "its id is enough"


def test_a_canary_that_is_delivered_lets_the_others_follow(shop: Shop) -> None:
    shop.refuse(*shop.publish([(f"k{n % 10}", f"e{n:02}") for n in range(30)]))
    first: list[int] = []

    with sink(shop):
        job = run(
            shop,
            plan(shop, terms=redrive.Terms("ann", canary=7)),
            on_progress=lambda now: first.append(now.sent) if now.sent and not now.canary_passed else None,
        ).job

    assert set(first) == {6}, "two whole keys of three letters each"
    assert (job.state, job.sent, job.canary_passed) == (JobState.DONE, 30, True)
    assert sorted(ids(shop.read(shop.redrive))) == [f"e{n:02}" for n in range(30)]


def test_a_canary_that_fails_again_stops_the_redrive_and_the_rest_is_untouched(shop: Shop) -> None:
    shop.refuse(*shop.publish([(f"k{n}", f"e{n:02}") for n in range(20)]))

    with sink(shop, refuses=lambda event_id: True):
        job = run(shop, plan(shop, terms=redrive.Terms("ann", canary=3))).job

    assert (job.state, job.sent) == (JobState.CANCELLED, 3)
    assert (job.error or "").startswith("canary: 3 of 3 letters failed again: ")
    assert len(shop.read(shop.redrive)) == 3


def test_a_canary_of_which_the_sink_says_nothing_stops_it_and_it_can_be_resumed(shop: Shop) -> None:
    shop.refuse(*shop.publish([(f"k{n}", f"e{n:02}") for n in range(5)]))

    stopped = run(shop, plan(shop, terms=redrive.Terms("ann", canary=2)), canary_wait_s=0.3).job
    with sink(shop):
        done = run(shop, stopped).job

    assert (stopped.state, stopped.sent) == (JobState.STOPPED, 2)
    assert "said nothing yet of 2 of 2 letters" in (stopped.error or "")
    assert (done.state, done.sent) == (JobState.DONE, 5)
    assert sorted(ids(shop.read(shop.redrive))) == [f"e{n:02}" for n in range(5)]


def test_a_dropped_letter_tells_the_sink_who_and_why_and_carries_no_value(shop: Shop) -> None:
    shop.refuse(*shop.publish([("x", "x1"), ("x", "x2")]))
    terms = redrive.Terms("ann", because="a test sale")

    with sink(shop):
        ended = run(shop, plan(shop, Selection(event_ids=frozenset({"x2"})), terms, drop=True))
        settled = redrive.await_outcome(shop.config, ended.job, ended.letters, timeout_s=10)

    (sent,) = shop.read(shop.redrive)
    headers = h.as_dict(sent.headers())
    assert (ids([sent]), sent.key(), sent.value()) == (["x2"], b"x", None)
    assert (headers[h.DROP], headers[h.DROP_BECAUSE]) == (b"ann", b"a test sale")
    assert (settled.dropped, settled.delivered) == (1, 0)
    states = {letter.event_id: letter.state for letter in read_letters(shop.config, shop.dlq).letters}
    assert states == {"x1": WAITING, "x2": DROPPED}


def test_whoever_resumes_a_redrive_fences_the_one_that_still_runs_it(shop: Shop) -> None:
    shop.refuse(*shop.publish([(f"k{n}", f"e{n:02}") for n in range(6)]))
    job = plan(shop, terms=redrive.Terms("ann", records_s=1.0))
    errors: list[BaseException] = []
    began = threading.Event()

    def first() -> None:
        try:
            run(shop, job, on_progress=lambda now: began.set() if now.sent else None)
        except Exception as error:  # noqa: BLE001 - whatever it is, is what is looked at
            errors.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    until(began.is_set)
    done = run(shop, job).job
    thread.join()

    assert done.state is JobState.DONE
    assert [type(error).__name__ for error in errors] == ["Fenced"]
    assert sorted(ids(shop.read(shop.redrive))) == [f"e{n:02}" for n in range(6)]
