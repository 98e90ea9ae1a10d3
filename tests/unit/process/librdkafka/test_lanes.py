"""Lanes of keys against what they promise, with any keys, and left at any moment."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstem.process.librdkafka.lanes import run_in_lanes
from tests.thorough import examples


@settings(max_examples=examples(60), deadline=None)
@given(
    keys=st.lists(st.sampled_from("abcdefgh"), max_size=60),
    concurrency=st.integers(1, 5),
    leaves_at=st.integers(1, 200),
    turns=st.lists(st.integers(0, 4), min_size=1),
)
def test_what_is_done_has_no_gap_and_a_keys_records_are_done_in_order(
    keys: list[str], concurrency: int, leaves_at: int, turns: list[int]
) -> None:
    asks, running, most = count(1), 0, 0
    done: dict[str, list[int]] = defaultdict(list)

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(turns[number % len(turns)]):
            await asyncio.sleep(0)
        done[keys[number]].append(number)
        running -= 1

    told = asyncio.run(run_in_lanes(keys, work, concurrency=concurrency, leaves=lambda: next(asks) >= leaves_at))
    assert sorted(number for numbers in done.values() for number in numbers) == list(range(told))
    assert all(numbers == sorted(numbers) for numbers in done.values())
    assert most <= concurrency
    assert told == len(keys) or leaves_at <= 2 * len(keys)


async def test_the_first_error_cancels_the_others() -> None:
    begun = []

    async def work(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 1:
            raise ValueError("one")
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as failed:
        await run_in_lanes("abcdef", work, concurrency=2, leaves=lambda: False)
    assert [str(error) for error in failed.value.exceptions] == ["one"]
    assert len(begun) <= 3, "one may take the place of the one that failed"
    assert len(asyncio.all_tasks()) == 1
