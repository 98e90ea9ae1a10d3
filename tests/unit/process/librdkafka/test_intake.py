"""What an iteration over a stream takes, on a channel in memory."""

from __future__ import annotations

import asyncio
from typing import Any

from mainstem.process.librdkafka import App
from mainstem.process.librdkafka.intake import STREAK

BROKER = "librdkafka://127.0.0.1:9"


async def taken(stream: Any, count: int) -> list[Any]:
    found: list[Any] = []
    async for value in stream:
        found.append(value)
        if len(found) == count:
            break
    return found


def opened() -> tuple[Any, Any]:
    app = App("a", broker=BROKER)
    app.flow_control.resume()
    channel = app.channel()
    return channel, channel.stream()


async def fill(channel: Any, count: int) -> None:
    for number in range(count):
        await channel.send(value=number)


async def test_all_is_taken_in_order_and_others_get_a_turn_only_now_and_then() -> None:
    channel, stream = opened()
    await fill(channel, 5 * STREAK)
    turns = [0]

    async def others() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    assert await taken(stream, 5 * STREAK) == list(range(5 * STREAK))
    task.cancel()
    assert 4 <= turns[0] < STREAK


async def test_an_iteration_over_an_empty_channel_waits_for_the_next_one() -> None:
    channel, stream = opened()
    task = asyncio.create_task(taken(stream, 3))
    await asyncio.sleep(0)
    await fill(channel, 3)
    assert await task == [0, 1, 2]


async def test_what_a_processor_leaves_out_is_skipped_and_the_rest_goes_on() -> None:
    channel, stream = opened()
    await fill(channel, 10)
    assert await taken(stream.filter(lambda number: number % 2), 5) == [1, 3, 5, 7, 9]


async def test_an_event_of_an_earlier_assignment_is_not_taken() -> None:
    channel, stream = opened()
    await fill(channel, 1)
    stream.app.consumer_generation_id += 1
    (old,) = stream.channel.queue._queue
    old.message.generation_id = stream.app.consumer_generation_id - 1
    await fill(channel, 2)
    for event in list(stream.channel.queue._queue)[1:]:
        event.message.generation_id = stream.app.consumer_generation_id
    assert await taken(stream, 2) == [0, 1]


async def test_a_plain_iterable_is_streamed_by_fausts_own_iterator() -> None:
    stream = App("a", broker=BROKER).stream([1, 2, 3])
    assert [value async for value in stream] == [1, 2, 3]
