"""A function over whole batches: what is written when, and what is not when its batch became void."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from mainstem.process.librdkafka.deferred import DeferredRunner


class Written(NamedTuple):
    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = -1


class Made(NamedTuple):
    records: list[Written]
    committed: Callable[[], None]


class Worker:
    """What a runner has of its worker: an account of what counts, and a gate that is shut while a commit is made."""

    def __init__(self) -> None:
        self.generation = 0
        self.written: list[bytes] = []
        self.given_up: list[int] = []
        self.ended: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        account = SimpleNamespace(
            is_current=self._is_current, give_up=lambda message: self.given_up.append(message.number)
        )
        self.consumer = SimpleNamespace(
            account=account, commits=SimpleNamespace(opened=self.gate.wait), watch=lambda watcher: None
        )
        self.producer = SimpleNamespace(write_all=lambda records: self.written.extend(one.value for one in records))
        self.engine = SimpleNamespace(ends=self.ended.append)
        self.pausing = nullcontext

    def _give_up(self, message: Any) -> None:
        self.given_up.append(message.number)

    def _is_current(self, message: Any) -> bool:
        return bool(message.generation == self.generation)

    async def stream(self, batches: Sequence[Sequence[bytes]]) -> AsyncIterator[Sequence[bytes]]:
        for number, batch in enumerate(batches):
            self.current_event = SimpleNamespace(message=SimpleNamespace(number=number, generation=0))
            yield batch


class Stream:
    def __init__(self, worker: Worker, *batches: Sequence[bytes]) -> None:
        self._worker, self._batches = worker, batches

    def __aiter__(self) -> AsyncIterator[Sequence[bytes]]:
        return self._worker.stream(self._batches)

    @property
    def current_event(self) -> Any:
        return self._worker.current_event


def copies(told: list[str]) -> Any:
    async def copy(batch: Sequence[bytes]) -> Made:
        return Made([Written("out", b"k", value) for value in batch], lambda: told.append(batch[0].decode()))

    return copy


async def test_a_batch_is_written_in_order_and_counts_when_it_is_committed() -> None:
    worker, told = Worker(), list[str]()
    runner = DeferredRunner(worker, copies(told), lambda: told.append("commit"))
    await runner.run(Stream(worker, [b"a", b"b"], [b"c"]))
    assert worker.written == [b"a", b"b", b"c"]
    assert told == []
    runner.committed()
    runner.committed()
    assert told == ["a", "c", "commit", "commit"]


async def test_nothing_is_written_while_a_commit_is_made() -> None:
    worker = Worker()
    worker.gate.clear()
    running = asyncio.ensure_future(DeferredRunner(worker, copies([]), int).run(Stream(worker, [b"a"])))
    for _ in range(10):
        await asyncio.sleep(0)
    assert worker.written == []
    worker.gate.set()
    await running
    assert worker.written == [b"a"]


async def test_a_batch_that_became_void_is_cancelled_and_leaves_nothing() -> None:
    worker, told = Worker(), list[str]()
    began = asyncio.Event()

    async def wait(batch: Sequence[bytes]) -> Made:
        if batch[0] == b"slow":
            began.set()
            await asyncio.Event().wait()
        return await copies(told)(batch)  # type: ignore[no-any-return]

    runner = DeferredRunner(worker, wait, int)
    running = asyncio.ensure_future(runner.run(Stream(worker, [b"done"], [b"slow"])))
    await began.wait()
    worker.generation = 1
    runner.voided()
    await running
    runner.committed()
    assert worker.written == [b"done"]
    assert worker.given_up == [1]
    assert told == []  # the first one was not committed before: it comes again


async def test_a_batch_that_became_void_while_it_waited_for_a_commit_is_not_written() -> None:
    worker = Worker()
    worker.gate.clear()
    running = asyncio.ensure_future(DeferredRunner(worker, copies([]), int).run(Stream(worker, [b"a"])))
    for _ in range(10):
        await asyncio.sleep(0)
    worker.generation = 1
    worker.gate.set()
    await running
    assert (worker.written, worker.given_up) == ([], [0])


async def test_a_batch_of_an_earlier_generation_is_not_begun() -> None:
    worker, told = Worker(), list[str]()
    worker.generation = 1
    await DeferredRunner(worker, copies(told), int).run(Stream(worker, [b"a"]))
    assert (worker.written, worker.given_up) == ([], [0])


async def test_a_function_that_raises_ends_the_worker() -> None:
    worker = Worker()

    async def fail(batch: Sequence[bytes]) -> Made:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await DeferredRunner(worker, fail, int).run(Stream(worker, [b"a"]))
    assert worker.ended == ["the function over its batches failed: ValueError('a bug')"]
    assert worker.written == []


async def test_a_runner_that_is_stopped_stops_its_function() -> None:
    worker = Worker()
    stopped = asyncio.Event()
    began = asyncio.Event()

    async def wait(batch: Sequence[bytes]) -> Made:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    running = asyncio.ensure_future(DeferredRunner(worker, wait, int).run(Stream(worker, [b"a"])))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(stopped.wait(), 60)
    assert worker.written == []
