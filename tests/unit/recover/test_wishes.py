"""Wishes as values; what they do to a running job is in tests/integration/recover/test_replay_wishes.py."""

from __future__ import annotations

import asyncio
from time import monotonic

import orjson
import pytest

from mainstem.recover.wishes import TOPIC, Wish, Wishes, read_wish, wish_record


def test_a_wish_is_a_record_under_the_jobs_id() -> None:
    record = wish_record("4e4000b8", Wish.CANCEL, "ann")

    assert (record.topic, record.key) == (TOPIC, b"4e4000b8")
    assert read_wish(record.value) is Wish.CANCEL
    assert orjson.loads(record.value or b"")["who"] == "ann"


@pytest.mark.parametrize("value", [None, b"", b"no json", b"[]", b"{}", b'{"wish": "explode"}'])
def test_what_this_version_does_not_know_is_no_wish(value: bytes | None) -> None:
    assert read_wish(value) is None


def test_whoever_waits_is_woken_by_a_wish_for_its_job_only() -> None:
    async def waiting() -> tuple[Wish | None, Wish | None]:
        wishes = Wishes({})
        loop = asyncio.get_running_loop()
        loop.call_soon(wishes.note, "other", Wish.CANCEL)
        nothing = await wishes.within("mine", 0.05)
        loop.call_soon(wishes.note, "mine", Wish.PAUSE)
        return nothing, await wishes.within("mine", 30)

    began = monotonic()
    assert asyncio.run(waiting()) == (None, Wish.PAUSE)
    assert monotonic() - began < 10


def test_the_last_wish_counts() -> None:
    async def noting() -> Wish | None:
        wishes = Wishes({})
        wishes.note("mine", Wish.PAUSE)
        wishes.note("mine", Wish.CANCEL)
        return wishes.latest("mine")

    assert asyncio.run(noting()) is Wish.CANCEL
