"""Calls for the thread that owns a client: made in order, or refused; nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from mainstem.errors import Unreachable
from mainstem.kafka.command import Commands

CLIENT = cast(Any, "client")


async def test_calls_are_made_in_order_and_their_results_come_back() -> None:
    commands = Commands()
    made: list[int] = []

    def call(number: int) -> Callable[[Any], int]:
        def made_call(_: Any) -> int:
            made.append(number)
            return number

        return made_call

    asked = [asyncio.create_task(commands.ask(call(n))) for n in range(3)]
    await asyncio.sleep(0)
    commands.run(CLIENT)
    assert await asyncio.gather(*asked) == [0, 1, 2]
    assert made == [0, 1, 2]


async def test_an_error_belongs_to_the_one_who_asked() -> None:
    commands = Commands()

    def fail(_: Any) -> None:
        raise ValueError("no")

    bad, good = asyncio.create_task(commands.ask(fail)), asyncio.create_task(commands.ask(lambda client: client))
    await asyncio.sleep(0)
    commands.run(CLIENT)
    with pytest.raises(ValueError, match="no"):
        await bad
    assert await good == CLIENT


async def test_who_waits_when_the_client_closes_and_who_asks_later_is_refused() -> None:
    commands = Commands()
    early = asyncio.create_task(commands.ask(lambda client: client))
    await asyncio.sleep(0)
    commands.close()
    for asked in (early, asyncio.create_task(commands.ask(lambda client: client))):
        with pytest.raises(Unreachable, match="closed"):
            await asked


async def test_one_who_no_longer_waits_is_no_error() -> None:
    commands = Commands()
    asked = asyncio.create_task(commands.ask(lambda client: client))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    commands.run(CLIENT)
    await asyncio.sleep(0)


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    commands = Commands()
    loop = asyncio.new_event_loop()
    asked = loop.create_task(commands.ask(lambda client: client))
    loop.run_until_complete(asyncio.sleep(0, loop))
    asked.cancel()
    loop.run_until_complete(asyncio.gather(asked, return_exceptions=True))
    loop.close()
    commands.run(CLIENT)
