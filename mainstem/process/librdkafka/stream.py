"""Faust's stream and agent, with what makes a failed event fail."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import Any, cast

from faust._cython.streams import StreamIterator
from faust.agents.agent import Agent as BaseAgent
from faust.exceptions import ImproperlyConfigured
from faust.streams import Stream as BaseStream
from faust.types import ChannelT
from mode import Seconds, want_seconds

from mainstem.process.librdkafka.blame import RecordFailed
from mainstem.process.librdkafka.intake import Intake


class Stream(BaseStream[Any]):
    """Faust acknowledges an event also when its agent raised; here it stays open until somebody decides about it."""

    async def _c_aiter(self) -> AsyncIterator[Any]:
        self._finalized = True
        started = await self.maybe_start()
        steps = Intake(self) if isinstance(self.channel, ChannelT) else StreamIterator(self)
        try:
            while not self.should_stop:
                acknowledges = self.enable_acks
                value, state = await steps.next()
                is_done = False
                try:
                    if value is not self._skipped_value:
                        self.events_total += 1
                        yield value
                    is_done = True
                finally:
                    event, self.current_event = self.current_event, None
                    if is_done and event is not None and (acknowledges or value is self._skipped_value):
                        self._finish(event, state)
        except StopAsyncIteration:
            return
        finally:
            self._channel_stop_iteration(self.channel)
            if started:
                await self.stop()
                self.service_reset()

    def take(self, max_: int, within: Seconds) -> AsyncGenerator[Any, None]:
        """As Faust's. Raises ImproperlyConfigured where a commit could not wait for what is taken."""
        self._fits_a_commit(within)
        return super().take(max_, within)

    def take_events(self, max_: int, within: Seconds) -> AsyncGenerator[Any, None]:
        """See `take`."""
        self._fits_a_commit(within)
        return super().take_events(max_, within)

    def take_with_timestamp(self, max_: int, within: Seconds, timestamp_field_name: str) -> AsyncGenerator[Any, None]:
        """See `take`."""
        self._fits_a_commit(within)
        return super().take_with_timestamp(max_, within, timestamp_field_name)

    def _fits_a_commit(self, within: Seconds) -> None:
        app = cast(Any, self.app)
        if app.in_transaction and (not within or want_seconds(within) >= app.engine.drain_s):
            raise ImproperlyConfigured(
                f"take(within={within}): what is taken belongs to a transaction, which waits {app.engine.drain_s:g} s "
                "for it (EngineOptions.drain_s). Take for a shorter time, or raise drain_s and transaction_timeout_s"
            )

    def _finish(self, event: Any, state: Any) -> None:
        message = event.message
        is_last = event.ack()
        self._on_stream_event_out(message.tp, message.offset, self, event, state)
        if is_last:
            self._on_message_out(message.tp, message.offset, message)


class Agent(BaseAgent):
    """Restarts its function in place when it raised: Faust's supervisor may take seconds, and forgets wake-ups."""

    async def _execute_actor(self, coro: Awaitable[Any], aref: Any) -> None:
        await super()._execute_actor(self._guarded(coro, aref), aref)

    async def _guarded(self, work: Awaitable[Any], actor: Any) -> None:
        while True:
            try:
                await work
            except Exception as error:
                event = actor.stream.current_event
                if event is None or self.should_stop:
                    raise
                again = self._failed(actor, event, error)
                if self._on_error is not None:
                    await self._on_error(self, error)
            else:
                return
            await self._close(actor)
            self._wake(actor, event if again else None)
            started = self.fun(actor.stream)
            work = started if inspect.isawaitable(started) else self._slurp(actor, aiter(started))

    def _failed(self, actor: Any, event: Any, error: Exception) -> bool:
        actor.stream.current_event = None
        message = event.message
        if isinstance(error, RecordFailed):
            return bool(cast(Any, self.app.consumer).event_failed(message, error.offset, error.error))
        return bool(cast(Any, self.app.consumer).event_failed(message, message.offset, error))

    async def _close(self, actor: Any) -> None:
        """The iteration that died is closed first: it stops the stream when it ends, which would be the next one's."""
        for stream in actor.stream.get_root_stream()._iter_ll_forwards():
            for iteration in list(stream._active_agens):
                try:
                    await iteration.aclose()
                except (RuntimeError, ValueError):
                    continue

    def _wake(self, actor: Any, event: Any) -> None:
        """Puts the event back to the front, for whoever waits."""
        queue = actor.stream.channel.queue
        if event is not None:
            queue._queue.appendleft(event)
        if queue._queue:
            queue._wakeup_next(queue._getters)
