"""A function over whole batches of records that writes nothing before it is done with one.

So it may take as long as it likes, also within exactly-once: a commit takes what was done before, and does not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from mainstem.process.librdkafka.batch import Batches, Output
from mainstem.process.librdkafka.fetching import Message


class Made(Protocol):
    """What a batch became."""

    @property
    def records(self) -> Sequence[Output]: ...

    @property
    def committed(self) -> Callable[[], None]:
        """Called when the records and the offsets of the batch are committed; never, where the batch is done again."""


Function = Callable[[Sequence[Message]], Awaitable[Made]]
"""Gets what has arrived of one partition, in order. It knows best what to do about a record that fails: raising ends
the worker. It is cancelled when its batch became void, by a rebalance or because the worker stops."""


class DeferredBatches(Batches):
    """As Batches, for an agent that writes nothing before it is done."""

    is_deferred = True


class DeferredRunner:
    """Runs the function over the batches of one agent, one at a time."""

    def __init__(self, app: Any, function: Function, committed: Callable[[], object]) -> None:
        self._app = app
        self._function = function
        self._tell = committed
        self._current: asyncio.Future[Made] | None = None
        self._uncommitted: list[Callable[[], None]] = []

    async def run(self, stream: Any) -> None:
        """The agent's function."""
        consumer = self._app.consumer
        account = consumer.account
        consumer.watch(self)
        async for records in stream:
            message = stream.current_event.message
            made = await self._call(records) if account.is_current(message) else None
            await consumer.commits.opened()
            # From here to the acknowledgement nothing awaits: no commit comes between the records and their offset.
            if made is None or not account.is_current(message):
                account.give_up(message)
                continue
            self._app.producer.write_all(made.records)
            self._uncommitted.append(made.committed)

    async def _call(self, records: Sequence[Message]) -> Made | None:
        """None when the batch became void meanwhile."""
        self._current = current = asyncio.ensure_future(self._function(records))
        try:
            with self._app.pausing():  # it may take for as long as it likes
                await asyncio.wait({current})
        except asyncio.CancelledError:
            current.cancel()
            raise
        finally:
            self._current = None
        if current.cancelled():
            return None
        if (error := current.exception()) is not None:
            self._app.engine.ends(f"the function over its batches failed: {error!r}")
            raise error
        return current.result()

    def committed(self) -> None:
        """All that was written is."""
        done, self._uncommitted = self._uncommitted, []
        for tell in done:
            tell()
        self._tell()

    def voided(self) -> None:
        """What was not committed will come again."""
        self._uncommitted.clear()
        if self._current is not None:
            self._current.cancel()
