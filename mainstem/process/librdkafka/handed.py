"""What Faust is given for a record that it sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from confluent_kafka import KafkaError
from faust.types import TP
from faust.types.tuples import RecordMetadata

NOWHERE = RecordMetadata("", -1, TP("", -1), -1)


class Handed(Awaitable[RecordMetadata]):
    """Faust wants a future for each record. This one is done: the commit of the event's offset waits for the record."""

    def __await__(self) -> Any:
        return self.result()
        yield  # a generator, as an awaitable has to be

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        callback(self)

    def done(self) -> bool:
        return True

    def result(self) -> RecordMetadata:
        """Where it went is not known yet."""
        return NOWHERE

    def exception(self) -> None:
        return None


HANDED = Handed()


class Sent(Awaitable[RecordMetadata]):
    """A record that a command sends (`faust send`). Whoever awaits it is told where it is, once Kafka has it."""

    def __init__(self, flush: Callable[[], Awaitable[None]], refuse: Callable[[KafkaError, object], None]) -> None:
        self._flush = flush
        self._refuse = refuse
        self._where = NOWHERE
        self._callbacks: list[Callable[[Any], Any]] = []

    def report(self, error: KafkaError | None, message: Any) -> None:
        """The library's, in whatever thread flushes."""
        if error is not None:
            self._refuse(error, message)
            return
        tp = TP(message.topic(), message.partition())
        kind, stamp_ms = message.timestamp()
        self._where = RecordMetadata(*tp, tp, message.offset(), stamp_ms / 1000, kind)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        yield from self._flush().__await__()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)
        return self._where

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        self._callbacks.append(callback)

    def result(self) -> RecordMetadata:
        return self._where
