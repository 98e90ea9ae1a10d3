"""Redriving on the real broker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from mainstem.codec import headers as h
from mainstem.errors import PLAN_CHANGED, Refused
from mainstem.flow.dead_letter import ERROR_HEADERS, FIRST_FAILED_AT, first_origin
from mainstem.flow.letter_status import DELIVERED, WAITING
from mainstem.recover import redrive
from mainstem.recover.letters import read_letters
from mainstem.recover.selection import Selection
from tests.integration.recover.conftest import Shop, ids

pytestmark = pytest.mark.stack

EVERYTHING = Selection(everything=True)
EVENTS = [("x", "x1"), ("y", "y1"), ("x", "x2"), ("z", "z1"), ("x", "x3")]


def run(shop: Shop, plan: redrive.RedrivePlan) -> redrive.Redriven:
    return asyncio.run(redrive.run(shop.config, plan, redrive_id="r1", topic=shop.redrive))


def test_letters_reach_the_redrive_topic_as_they_were_in_order_and_in_their_partition(shop: Shop) -> None:
    originals = {name: message for message in shop.publish(EVENTS) for name in ids([message])}
    shop.refuse(*(originals[name] for name in ("x1", "x2", "y1", "x3")))

    run(shop, redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING))

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
        assert (headers[h.REDRIVE_ID], headers[h.REDRIVE_COUNT]) == (b"r1", b"1")


def test_the_origin_topic_is_left_alone(shop: Shop) -> None:
    (message,) = shop.publish([("x", "x1")])
    shop.refuse(message)

    run(shop, redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING))

    assert len(shop.read(shop.topic)) == 1


def test_a_second_redrive_of_what_was_delivered_plans_nothing(shop: Shop) -> None:
    shop.refuse(*shop.publish(EVENTS))
    run(shop, redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING))
    shop.send([shop.status_of(message, DELIVERED) for message in shop.read(shop.redrive)])

    second = redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING)

    assert (second.letters, len(second.not_waiting)) == ((), len(EVENTS))


def test_a_killed_redrive_leaves_nothing_visible_and_the_next_one_is_whole(shop: Shop) -> None:
    shop.refuse(*shop.publish(EVENTS))
    script = Path(__file__).with_name("open_transaction.py")
    arguments = [shop.config["bootstrap.servers"], f"mainstem.redrive.{shop.dlq}", shop.redrive]
    with subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "open\n"
        killed.kill()
    assert shop.read(shop.redrive) == []

    run(shop, redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING))

    assert sorted(ids(shop.read(shop.redrive))) == sorted(name for _, name in EVENTS)


def test_a_plan_that_is_no_longer_true_is_refused_and_nothing_is_written(shop: Shop) -> None:
    first, second = shop.publish([("x", "x1"), ("x", "x2")])
    shop.refuse(first)
    agreed = redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING)
    shop.refuse(second)

    with pytest.raises(Refused) as refused:
        run(shop, agreed)

    assert refused.value.code is PLAN_CHANGED
    assert shop.read(shop.redrive) == []


def test_more_letters_than_one_transaction_takes_all_arrive_once(shop: Shop) -> None:
    count = redrive.BATCH_RECORDS + 37
    shop.refuse(*shop.publish([(f"k{n % 7}", f"e{n:04}") for n in range(count)]))
    steps: list[int] = []

    plan = redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING)
    asyncio.run(redrive.run(shop.config, plan, redrive_id="r1", topic=shop.redrive, on_progress=steps.append))

    assert steps == [redrive.BATCH_RECORDS, 37]
    assert sorted(ids(shop.read(shop.redrive))) == [f"e{n:04}" for n in range(count)]


def test_what_became_of_a_redrive_is_told_and_what_did_not_settle_in_time_is_open(shop: Shop) -> None:
    shop.refuse(*shop.publish([("x", "x1"), ("y", "y1"), ("z", "z1")]))
    redriven = run(shop, redrive.plan(read_letters(shop.config, shop.dlq), EVERYTHING))
    by_id = {name: message for message in shop.read(shop.redrive) for name in ids([message])}
    shop.send([shop.status_of(by_id["x1"], DELIVERED), shop.status_of(by_id["y1"], WAITING)])

    settled = redrive.await_outcome(shop.config, shop.dlq, redriven, timeout_s=0.5)

    assert [letter.event_id for letter in settled.delivered] == ["x1"]
    assert [letter.event_id for letter in settled.failed_again] == ["y1"]
    assert [letter.event_id for letter in settled.open] == ["z1"]
