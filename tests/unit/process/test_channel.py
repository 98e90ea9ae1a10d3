from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest

from mainstem.process.channel import Channel


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def lines(reading: int) -> list[Any]:
    os.set_blocking(reading, False)
    return [orjson.loads(line) for line in os.read(reading, 10_000_000).splitlines()]


async def test_a_change_is_told_at_once_and_the_last_word_too(pipe: tuple[int, int]) -> None:
    says = iter(range(100))
    channel = Channel(pipe[1], lambda: {"n": next(says)}, lambda: None)
    telling = asyncio.create_task(channel.run())
    await asyncio.sleep(0)
    channel.changed()
    telling.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait({telling})
    assert [said["n"] for said in lines(pipe[0])] == [0, 1]


async def test_a_parent_that_does_not_read_does_not_stop_the_child(pipe: tuple[int, int]) -> None:
    channel = Channel(pipe[1], lambda: {"much": "x" * 50_000}, lambda: None)
    for _ in range(10):
        channel._tell()
    got = b""
    os.set_blocking(pipe[0], False)
    while not got.endswith(b"\n") or got.count(b"\n") < 2:
        got += os.read(pipe[0], 1_000_000)
        channel._tell()
    assert {len(orjson.loads(line)["much"]) for line in got.splitlines()} == {50_000}


async def test_a_parent_that_has_gone_is_noticed(pipe: tuple[int, int]) -> None:
    noticed = []
    channel = Channel(pipe[1], lambda: {}, lambda: noticed.append(True))
    os.close(pipe[0])
    channel._tell()
    assert noticed
