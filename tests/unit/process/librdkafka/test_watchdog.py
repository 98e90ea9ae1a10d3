"""The thread beside the loop: real threads, a real event loop, and limits of a fraction of a second."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from time import monotonic

import pytest

from mainstem.process.librdkafka.watchdog import LOOKS, Watchdog, threads

LIMIT_S = 0.4
PATIENCE_S = 20.0


class Worker:
    """What a watchdog sees, and what it says in the end."""

    def __init__(self) -> None:
        self.waiting: Mapping[Hashable, Hashable] = {}
        self.reaches_kafka = True
        self.turns_go_on = True
        self.asked_kafka = 0
        self.reasons: list[str] = []
        self.ended = threading.Event()
        self._turns = 0
        self.watchdog = Watchdog(
            LIMIT_S,
            waiting=lambda: self.waiting,
            turns=self._turn,
            reaches_kafka=self._ask_kafka,
            agents=lambda: "settle waits for the till",
            ends=self._end,
        )

    def _turn(self) -> int:
        self._turns += self.turns_go_on
        return self._turns

    def _ask_kafka(self) -> bool:
        self.asked_kafka += 1
        return self.reaches_kafka

    def _end(self, reason: str) -> None:
        self.reasons.append(reason)
        self.ended.set()

    async def until_looked_at(self, times: int) -> None:
        before = self._turns
        await self.until(lambda: self._turns >= before + times)

    async def until(self, holds: Callable[[], bool]) -> None:
        deadline = monotonic() + PATIENCE_S
        while not holds():
            assert monotonic() < deadline
            await asyncio.sleep(0.01)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    worker.watchdog.start()
    yield worker
    worker.watchdog.stop()


async def test_a_loop_that_somebody_blocks_is_found_from_outside(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        assert worker.ended.wait(PATIENCE_S)  # blocks the loop, as an agent's time.sleep would
    assert worker.reasons[0].startswith("the event loop has not moved")
    assert "test_a_loop_that_somebody_blocks" in caplog.text
    assert "settle waits for the till" in caplog.text


async def test_events_that_are_never_committed_are_found_while_the_loop_goes_on(worker: Worker) -> None:
    worker.waiting = {("orders", 3): 17}
    await worker.until(worker.ended.is_set)
    assert worker.reasons[0].startswith("orders/3 ")


async def test_nobody_is_ended_because_kafka_is_away_and_everybody_is_when_it_is_back(worker: Worker) -> None:
    worker.reaches_kafka = False
    worker.waiting = {("orders", 3): 17}
    await worker.until(lambda: worker.asked_kafka >= 2)
    assert worker.reasons == []
    worker.reaches_kafka = True
    await worker.until(worker.ended.is_set)


async def test_what_is_paused_is_left_alone_until_it_goes_on(worker: Worker) -> None:
    worker.waiting = {("orders", 3): 17}
    with worker.watchdog.pausing():
        await worker.until_looked_at(3 * LOOKS)
        assert worker.watchdog.commit_age_s == 0
        assert worker.reasons == []
    await worker.until(worker.ended.is_set)


async def test_the_age_of_what_waits_grows_and_ends_with_a_commit(worker: Worker) -> None:
    worker.waiting = {("orders", 3): 17}
    await worker.until(lambda: worker.watchdog.commit_age_s > 0)
    worker.waiting = {("orders", 3): 18}
    await worker.until(lambda: worker.watchdog.commit_age_s == 0)
    assert worker.reasons == []


def test_the_stacks_of_all_threads_are_told() -> None:
    assert "test_the_stacks_of_all_threads_are_told" in threads()
