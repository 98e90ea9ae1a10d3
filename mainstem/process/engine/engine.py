"""One Faust app around one step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from mainstem.process.engine.settings import EngineSettings, engine_options, faust_options
from mainstem.process.librdkafka import App, Made, Message, Observer

Step = Callable[[Sequence[Message]], Awaitable[Made]]
"""Turns a batch of one partition, in order, into what is to be written.

It takes as long as it has to, and does not raise for what a record holds: an exception ends the engine. It is cancelled
where its batch is to be done by another worker, or once more.
"""


class EngineFailed(Exception):
    """The engine cannot go on: Faust crashed. Nothing unfinished was acknowledged.

    A new process starts where the group stands.
    """


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the host wants to be told."""

    assigned: Callable[[], None] = _nothing
    """The partitions were given out anew; called before the first batch that follows."""
    done: Callable[[], None] = _nothing
    """A batch is committed: its outputs are visible and its inputs done."""
    observer: Observer = field(default_factory=Observer)
    """Is told what happens, to make metrics of it."""
    ends: Callable[[str], Any] | None = None
    """The process may not go on, for this reason: it was fenced, or whether something was committed is not known. Has
    to end it at once; may be called in any thread. By default it ends with EX_TEMPFAIL."""


class Engine:
    """Runs `step` over a topic as a member of a consumer group. Usable once."""

    def __init__(self, settings: EngineSettings, step: Step, hooks: Hooks | None = None) -> None:
        self._settings = settings
        self._step = step
        self._hooks = hooks or Hooks()
        self._generation: int | None = None
        self._app = self._build()

    async def run(self, stop: asyncio.Event) -> None:
        """Processes until `stop` is set, then commits what is done and leaves the group. The batch under way is left to
        whoever is given its partition.

        Raises EngineFailed.
        """
        app = self._app
        starting = asyncio.create_task(app.start(), name="the start")
        others = {asyncio.create_task(stop.wait()), asyncio.create_task(app.wait_until_stopped())}
        try:
            await _first_end(starting, others)
            await app.stop()
        finally:
            await _cancel({starting, *others})
        self._raise_failure(starting)

    @property
    def is_idle(self) -> bool:
        """It has its place in the group, and all that came is done."""
        return self._app.is_idle

    @property
    def unconfirmed_s(self) -> float:
        """For how long Kafka has been asked to commit."""
        return self._app.committing_s

    def _build(self) -> App:
        options = replace(engine_options(self._settings), observer=self._hooks.observer)
        if self._hooks.ends is not None:
            options = replace(options, ends=self._hooks.ends)
        app = App(self._settings.group, engine=options, **faust_options(self._settings))
        app.in_worker = True  # Faust's word for: not a command line that only sends
        app.batches(self._settings.topic, self._made, committed=self._hooks.done, name="step")
        app.finalize()
        return app

    async def _made(self, messages: Sequence[Message]) -> Made:
        if self._generation != self._app.generation:
            self._generation = self._app.generation
            self._hooks.assigned()
        return await self._step(messages)

    def _raise_failure(self, starting: asyncio.Task[Any]) -> None:
        if starting.done() and not starting.cancelled() and (error := starting.exception()) is not None:
            raise EngineFailed(f"{starting.get_name()} ended: {type(error).__name__}") from error
        if self._app.crashed:
            reason = self._app.crash_reason
            raise EngineFailed(f"Faust ended: {type(reason).__name__}") from reason


async def _first_end(starting: asyncio.Task[Any], others: set[asyncio.Task[Any]]) -> None:
    """Returns when one of them ends, or the start fails."""
    await asyncio.wait({starting, *others}, return_when=asyncio.FIRST_COMPLETED)
    if not any(task.done() for task in others) and starting.exception() is None:
        await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
