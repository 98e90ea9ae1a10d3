"""A real account and delivery between records that were fetched and agents that are not there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from faust.types import TP

from mainstem.process.librdkafka.account import Account
from mainstem.process.librdkafka.at_least_once import AtLeastOnce
from mainstem.process.librdkafka.delivering import Delivery
from mainstem.process.librdkafka.fetching import Fetched
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.hands import Hands
from mainstem.process.librdkafka.options import EngineOptions

ORDERS = TP("orders", 0)


class Record:
    """One of ten bytes."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def __len__(self) -> int:
        return 10

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"ten bytes!"

    def headers(self) -> None: ...

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


class Scene:
    """What was delivered stays with an agent until the test is done with it."""

    def __init__(self, batches: list[list[int]], *, takes_batches: bool, **options: Any) -> None:
        channel = SimpleNamespace(schema=SimpleNamespace(takes_batches=takes_batches))
        app = SimpleNamespace(
            engine=EngineOptions(**options),
            topics=SimpleNamespace(_tp_index={ORDERS: [channel]}),
            _reply_consumer=SimpleNamespace(_fetchers=()),
        )
        flights: Flights[TP] = Flights()
        flights.restart(gained={ORDERS: 0})
        self.fetched = deque(
            Fetched(flights.generation, ORDERS, [Record(offset) for offset in batch], 10 * len(batch))
            for batch in batches
        )
        self.account = Account(app, flights, AtLeastOnce(cast(Any, None)), Hands(), lambda: None)
        take: Any = SimpleNamespace(take=lambda: self.fetched.popleft() if self.fetched else None, done=lambda _: None)
        self.delivery = Delivery(app, take, self.account, self._deliver)
        self.with_agents: list[Any] = []

    async def _deliver(self, message: Any) -> None:
        message.incref()
        self.with_agents.append(message)

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        running = asyncio.ensure_future(self.delivery.run(lambda: False, _flows))
        await _turns()
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait({running})


async def _flows() -> None: ...


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_agents_get_no_more_events_than_they_may_hold() -> None:
    scene = Scene([[0, 1, 2], [3, 4]], takes_batches=False, ahead=2)
    async with scene.delivering():
        assert [message.offset for message in scene.with_agents] == [0, 1]
        scene.account.ack(scene.with_agents[0])
        await _turns()
        assert [message.offset for message in scene.with_agents] == [0, 1, 2]


async def test_agents_get_no_more_bytes_than_they_may_hold_give_or_take_a_batch() -> None:
    scene = Scene([[0, 1], [2, 3], [4]], takes_batches=True, ahead_bytes=30)
    async with scene.delivering():
        assert [message.offset for message in scene.with_agents] == [0, 2]
        scene.account.ack(scene.with_agents[0])
        await _turns()
        assert [message.offset for message in scene.with_agents] == [0, 2, 4]
