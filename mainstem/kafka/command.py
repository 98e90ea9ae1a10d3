"""Calls that the loop wants to have made in the thread that owns a client."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from confluent_kafka import Consumer, KafkaException

from mainstem.errors import KAFKA_UNREACHABLE, Unreachable
from mainstem.kafka.failure import failure

T = TypeVar("T")


class Commands:
    """A line of calls. `ask` belongs to the loop, `run` and `refuse` to the thread."""

    def __init__(self) -> None:
        self._line: queue.SimpleQueue[_Command[Any]] = queue.SimpleQueue()
        self._is_closed = False

    async def ask(self, what: Callable[[Consumer], T]) -> T:
        """The call's result, made in the thread. Raises Unreachable when the client is closed."""
        command = _Command(what, asyncio.get_running_loop())
        self._line.put(command)
        if self._is_closed:  # looked at after the put: either the thread sees the command, or it is refused here
            self._refuse_all()
        return await command.future

    def run(self, consumer: Consumer) -> None:
        """Makes the calls that wait."""
        while (command := self._next()) is not None:
            command.run(consumer)

    def close(self) -> None:
        """Whoever waits, or asks from now on, is refused."""
        self._is_closed = True
        self._refuse_all()

    def _refuse_all(self) -> None:
        while (command := self._next()) is not None:
            command.refuse(Unreachable("the consumer is closed", code=KAFKA_UNREACHABLE))

    def _next(self) -> _Command[Any] | None:
        try:
            return self._line.get_nowait()
        except queue.Empty:
            return None


class _Command(Generic[T]):
    def __init__(self, what: Callable[[Consumer], T], loop: asyncio.AbstractEventLoop) -> None:
        self._what = what
        self._loop = loop
        self.future: asyncio.Future[T] = loop.create_future()

    def run(self, consumer: Consumer) -> None:
        try:
            result = self._what(consumer)
        except KafkaException as error:
            self.refuse(failure(error, "asking Kafka"))
        except Exception as error:  # noqa: BLE001 - the thread's boundary: whoever asked is told
            self.refuse(error)
        else:
            self._settle(lambda: self.future.set_result(result))

    def refuse(self, error: Exception) -> None:
        self._settle(lambda: self.future.set_exception(error))

    def _settle(self, how: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(lambda: None if self.future.done() else how())
