"""One Faust app around one step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import faust
from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from faust.types import EventT as AnyEvent

from mainstem.process.engine.batches import Batches
from mainstem.process.engine.raw import Headers, RawMessage, RawRecord, Step
from mainstem.process.engine.settings import EngineSettings, faust_options
from mainstem.process.engine.transport import NoTables, Transport

UNCONFIRMED_S = 2.0
EventT = AnyEvent[Any]


class EngineFailed(Exception):
    """The engine cannot go on: Kafka refused or did not confirm, or Faust crashed. Nothing unfinished was acknowledged.

    A new process starts where the group stands.
    """


def _nothing() -> None: ...


def _no() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the host wants to be told."""

    assigned: Callable[[], None] = _nothing
    """The partitions were given out anew; called before the first batch that follows."""
    done: Callable[[], None] = _nothing
    """A batch's outputs are durable and its inputs acknowledged."""
    unconfirmed: Callable[[], None] = _nothing
    """Kafka has not confirmed a batch's outputs for UNCONFIRMED_S; called again each time."""
    is_stuck: Callable[[], bool] = _no
    """Whether the batch under way waits for what may take for ever: then a stop does not wait for it."""


class Engine:
    """Runs `step` over a topic as a member of a consumer group. Usable once."""

    def __init__(self, settings: EngineSettings, step: Step, hooks: Hooks | None = None) -> None:
        self._settings = settings
        self._step = step
        self._hooks = hooks or Hooks()
        self._batches: Batches[EventT] = Batches(self._finish, self._acknowledge, settings.batch)
        self._generation: int | None = None
        self._next: dict[TP, int] = {}
        self._streams: list[Any] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Processes until `stop` is set, then finishes the batch under way, commits and leaves the group.

        Raises EngineFailed.
        """
        self._app = app = self._build()
        starting = asyncio.create_task(app.start(), name="the start")
        working = asyncio.create_task(self._batches.work(), name="the work")
        others = {working, asyncio.create_task(stop.wait()), asyncio.create_task(app.wait_until_stopped())}
        try:
            await _first_end(starting, others)
            with self._leaving():
                await app.stop()
        finally:
            await _cancel({starting, *others})
        self._raise_failure(starting, working)

    async def lag(self) -> Mapping[tuple[str, int], int] | None:
        """Records that are not done, by partition of the topic; None before the group has given out partitions."""
        consumer = self._app.consumer
        try:
            held = consumer.assignment()
            ends = {tp: (await consumer.position(tp), consumer.highwater(tp)) for tp in held}
        except (ConsumerNotStarted, RuntimeError):  # aiokafka's errors are RuntimeErrors: the partition has just gone
            return None
        has_joined = bool(self._app.consumer_generation_id)
        if not has_joined or self._app.rebalancing or not self._app.flow_control.is_active():
            return None
        is_idle = self._batches.is_idle and self._stream_is_empty()
        return {
            (tp.topic, tp.partition): _lag(end, position, None if is_idle else self._next.get(tp))
            for tp, (position, end) in ends.items()
            if position is not None and end is not None
        }

    def _build(self) -> faust.App:
        app = faust.App(self._settings.group, **faust_options(self._settings), TableManager=NoTables)
        app.finalize()
        transport = Transport(app.conf.broker_consumer, app)
        transport.leaving = self._leaving
        app.transport = transport
        topic = app.topic(self._settings.topic, key_serializer="raw", value_serializer="raw", value_type=bytes)
        app.agent(topic, name="step", concurrency=1)(self._receive)
        return app

    async def _receive(self, stream: Any) -> None:
        """Faust acknowledges an event when its agent raises or is done with it (its issues 315, 606): hence `noack`."""
        self._streams = [stream]
        async for event in stream.noack().events():
            await self._batches.put(event)

    def _stream_is_empty(self) -> bool:
        return all(stream.channel.queue.empty() for stream in self._streams)

    async def _finish(self, events: Sequence[EventT]) -> None:
        generation = events[0].message.generation_id
        if generation != self._generation:
            self._generation = generation
            self._next.clear()
            self._hooks.assigned()
        for event in events:
            self._next.setdefault(event.message.tp, event.message.offset)
        await self._deliver(await self._step([_raw(event) for event in events]))

    async def _deliver(self, records: Sequence[RawRecord]) -> None:
        """Returns when all of them are durable."""
        send = self._app.producer.send
        sent = [
            await send(
                record.topic,
                record.key,
                record.value,
                None if record.partition < 0 else record.partition,
                None,
                list(record.headers),
            )
            for record in records
        ]
        await self._confirmed(sent)

    async def _confirmed(self, sent: Iterable[Any]) -> None:
        pending = set(sent)
        done = pending.copy()
        while pending:
            _, pending = await asyncio.wait(pending, timeout=UNCONFIRMED_S)
            if pending:
                self._hooks.unconfirmed()
        for delivery in done:
            delivery.result()

    def _acknowledge(self, events: Sequence[EventT]) -> None:
        """An event of an earlier assignment is left alone: it is read again by whoever has its partition now."""
        consumer = self._app.consumer
        for event in events:
            message = event.message
            if message.generation_id != self._app.consumer_generation_id:
                consumer.unacked.discard(message)
                continue
            event.ack()
            self._next[message.tp] = message.offset + 1
        self._hooks.done()

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        """While partitions are given up, what is under way has `drain_s` to finish: Faust itself waits for ever."""
        wait_s = 0.0 if self._hooks.is_stuck() else self._settings.drain_s
        timer = asyncio.get_running_loop().call_later(wait_s, self._abandon)
        try:
            yield
        finally:
            timer.cancel()

    def _abandon(self) -> None:
        self._batches.abandon()
        self._app.consumer.unacked.clear()

    def _raise_failure(self, starting: asyncio.Task[Any], working: asyncio.Task[Any]) -> None:
        for task in (working, starting):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise EngineFailed(f"{task.get_name()} ended: {type(error).__name__}") from error
        if self._app.crashed:
            reason = self._app.crash_reason
            raise EngineFailed(f"Faust ended: {type(reason).__name__}") from reason


def _raw(event: EventT) -> RawMessage:
    message = event.message
    stamped = message.timestamp
    return RawMessage(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        cast(Headers, message.headers or ()),
        (0, 0) if stamped is None else (message.timestamp_type + 1, round(stamped * 1000)),
    )


def _lag(end: int, position: int, done: int | None) -> int:
    """What the broker has, less what is done; where nothing waits, what was fetched is done: it may end in markers."""
    return max(0, end - (position if done is None else done))


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
