from __future__ import annotations

import asyncio

import pytest

from mainstem.errors import Unreachable
from mainstem.ingest.once import Once


def test_the_oldest_ids_leave_the_window() -> None:
    once = Once(2, ["a", "b"])

    once.remember(["c"])

    assert [once.is_known(event_id) for event_id in "abc"] == [False, True, True]
    assert len(once) == 2


def test_a_window_of_nothing_knows_nothing() -> None:
    once = Once(0)

    once.begin(["a"]).succeed()

    assert not once.is_known("a")


def test_what_succeeded_is_known_and_no_more_under_way() -> None:
    once = Once(10)
    attempt = once.begin(["a", "b"])
    assert once.under_way("a") is attempt

    attempt.succeed()

    assert once.is_known("a")
    assert once.under_way("a") is None


def test_what_failed_is_unknown_again() -> None:
    once = Once(10)
    attempt = once.begin(["a"])

    attempt.fail(Unreachable("down"))

    assert not once.is_known("a")
    assert once.under_way("a") is None


async def test_whoever_waits_shares_the_outcome() -> None:
    once = Once(10)
    good, bad = once.begin(["a"]), once.begin(["b"])
    waiting = [asyncio.create_task(attempt.settled()) for attempt in (good, good, bad)]
    await asyncio.sleep(0)

    good.succeed()
    bad.fail(Unreachable("down"))

    assert await asyncio.gather(*waiting[:2]) == [None, None]
    with pytest.raises(Unreachable, match="down"):
        await waiting[2]


async def test_one_that_gives_up_waiting_does_not_disturb_the_others() -> None:
    attempt = Once(10).begin(["a"])
    leaving, staying = asyncio.create_task(attempt.settled()), asyncio.create_task(attempt.settled())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)

    attempt.succeed()

    await staying
