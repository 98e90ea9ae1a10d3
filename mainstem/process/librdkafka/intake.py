"""What an iteration over a stream takes next."""

from __future__ import annotations

from asyncio import sleep
from typing import Any

from faust.exceptions import Skip
from faust.types import EventT
from mode.utils.futures import maybe_async

from mainstem.process.librdkafka.channel import Undecodable

STREAK = 64
"""Events that are taken before the event loop gets a turn. Faust gives it one before each event, which costs as much as
half of what an agent does."""


class Intake:
    """Does what Faust's StreamIterator does, for a stream of a topic or another channel."""

    def __init__(self, stream: Any) -> None:
        app = stream.app
        self._stream = stream
        self._app = app
        self._queue = stream.channel.queue
        self._wait_for_one = stream.channel.__anext__
        self._processors = stream._processors
        self._skipped = stream._skipped_value
        self._is_flowing = app.flow_control.is_active
        self._acking_topics = app.topics._acking_topics
        self._account = app.consumer.account
        self._begin = self._account.begin
        self._streak = 0

    async def next(self) -> tuple[Any, Any]:
        """The next value, and what the sensors are to be told at its end."""
        value, state = self._prepared(await self._taken())
        while value is None and self._stream.current_event is None:
            value, state = self._prepared(await self._taken())
        if value is self._skipped:
            return value, state
        try:
            for processor in self._processors:
                value = await maybe_async(processor(value))
            if self._stream.join_strategy is not None:
                value = await self._stream.on_merge(value)
        except Skip:
            value = self._skipped
        return value, state

    async def _taken(self) -> Any:
        self._streak += 1
        if self._streak >= STREAK:
            self._streak = 0
            await sleep(0)
        if self._queue.empty():
            self._streak = 0
            return await self._wait_for_one()
        return self._queue.get_nowait()

    def _prepared(self, taken: Any) -> tuple[Any, Any]:
        stream = self._stream
        if not isinstance(taken, EventT):
            stream._set_current_event(None)
            return taken, None
        message: Any = taken.message
        if not self._is_flowing() or message.generation_id != self._app.consumer_generation_id:
            return self._skipped, None  # it was dropped meanwhile, and is read again by whoever has its partition
        tp, offset = message.tp, message.offset
        if message.topic in self._acking_topics and not message.acked:
            if not self._begin(message):
                return self._skipped, None
            if not message.tracked:
                message.tracked = True
                stream._on_message_in(tp, offset, message)
        state = stream._on_stream_event_in(tp, offset, stream, taken)
        stream._set_current_event(taken)
        if type(taken.value) is Undecodable:
            self._account.refuse(message, taken.value.error)
            return self._skipped, state
        return taken.value, state
