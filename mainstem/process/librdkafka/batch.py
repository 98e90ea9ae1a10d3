"""A plain function per event, run over whole batches: `step(event, table) -> event, events or None`."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any, NamedTuple, cast

import faust
from faust.tables.wrappers import WindowWrapper
from faust.types import TP

from mainstem.process.librdkafka.blame import RecordFailed
from mainstem.process.librdkafka.event import Event, Headers
from mainstem.process.librdkafka.fetching import Message
from mainstem.process.librdkafka.lanes import run_in_lanes
from mainstem.process.librdkafka.now import Now, Place, current
from mainstem.process.librdkafka.tables import Table

TURN_S = 0.05
"""How long a step that never waits may keep the event loop, give or take a record."""
Output = tuple[str, bytes | None, bytes | None, Headers | None, int]
"""A record to write: topic, key, value, headers and partition. Below zero the key's murmur2 hash chooses it."""
Result = Event | Iterable[Event] | None


class Batches(faust.Schema[Any, Any]):
    """Hands a whole batch of records to the agent as one value."""

    takes_batches = True

    def compile(self, app: Any, **options: Any) -> Any:
        create = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return create(None, message.value, None, message)

        return decode


@dataclass(frozen=True, slots=True)
class Step:
    """What `App.step` was told."""

    function: Callable[[Event, Any], Any]
    writes: str | None
    table: Any
    decode: Callable[[bytes | None], Any]
    encode: Callable[[Any], bytes | None]
    concurrency: int


class _Try(NamedTuple):
    record: Message
    error: Exception


class StepRunner:
    """Runs a step over the batches of one agent. A record that fails is retried in place and then written to the dead
    letters; where the step has a table and outputs are exactly-once, the epoch is aborted instead, since what it did to
    the table cannot be told apart."""

    def __init__(self, app: Any, step: Step) -> None:
        self._app = app
        self._step = step
        self._table = step.table
        tables = step.table.values() if _is_several(step.table) else [step.table]
        self._has_windows = any(isinstance(table, WindowWrapper) for table in tables)
        self._changes_tables = any(table is not None and not getattr(table, "is_global", False) for table in tables)
        self._function, self._decode, self._encode, self._topic = step.function, step.decode, step.encode, step.writes
        self._is_async = inspect.iscoroutinefunction(step.function)

    async def run(self, stream: Any) -> None:
        """The agent's function."""
        async for records in stream:
            message = stream.current_event.message
            self._table = self._view(message.tp)
            outputs, done = await self._outputs(message, records)
            self._app.producer.write_all(outputs)
            if done < len(records):
                self._app.consumer.account.left(message, done)

    async def _outputs(self, message: Any, records: Sequence[Message]) -> tuple[list[Output], int]:
        """And of how many records they are: of all, unless a commit cannot wait for them."""
        if self._is_async and self._step.concurrency > 1:
            return await self._concurrent(message, records)
        outputs: list[Output] = []
        poison, account = self._app.consumer.blame, self._app.consumer.account
        is_poisoned = bool(poison)
        turn_s = monotonic() + TURN_S
        for done, record in enumerate(records):
            if monotonic() > turn_s:
                account.advanced(message.tp, done)
                await asyncio.sleep(0)
                if account.leaves(message):
                    return outputs, done
                is_poisoned = bool(poison)
                turn_s = monotonic() + TURN_S
            if is_poisoned and self._is_poison(message.tp, record):
                continue
            try:
                outputs += await self._async_once(record) if self._is_async else self._once(record)
            except Exception as error:  # noqa: BLE001 - the author's code: any error is the record's
                outputs += await self._again(message, _Try(record, error))
                is_poisoned = bool(poison)
        return outputs, len(records)

    async def _concurrent(self, message: Any, records: Sequence[Message]) -> tuple[list[Output], int]:
        """Outputs in the order of the records."""
        account = self._app.consumer.account
        found: list[list[Output]] = [[] for _ in records]
        finished = count(1)

        async def work(number: int) -> None:
            found[number] = await self._lane_step(message, records[number])
            account.advanced(message.tp, next(finished))

        try:
            done = await run_in_lanes(
                [record.key() for record in records],
                work,
                concurrency=self._step.concurrency,
                leaves=lambda: account.leaves(message),
            )
        except ExceptionGroup as failed:
            # Not except*: what is raised in its body comes out in a group again, in some versions of Python.
            first = next((one for one in failed.exceptions if isinstance(one, RecordFailed)), None)
            if first is None:
                raise
            raise first from first.__cause__
        return [output for outputs in found for output in outputs], done

    async def _lane_step(self, message: Any, record: Message) -> list[Output]:
        if self._app.consumer.blame and self._is_poison(message.tp, record):
            return []
        try:
            return await self._async_once(record)
        except Exception as error:  # noqa: BLE001 - the author's code: any error is the record's
            return await self._again(message, _Try(record, error))

    def _once(self, record: Message) -> list[Output]:
        event = Event(record.key(), self._decode(record.value()), record.headers(), record)
        if not self._has_windows:
            result = self._function(event, self._table)
            if type(result) is Event and self._topic is not None:  # as nearly all are
                return [(self._topic, result.key, self._encode(result.value), result.headers, -1)]
            return self._encoded(result)
        with current(_now(event)):
            return self._encoded(self._function(event, self._table))

    async def _async_once(self, record: Message) -> list[Output]:
        event = self._event(record)
        if not self._has_windows:
            return self._encoded(await self._function(event, self._table))
        with current(_now(event)):
            return self._encoded(await self._function(event, self._table))

    def _view(self, tp: TP) -> Any:
        """The partition of the table that belongs to the batch; of several tables, by name. What is no table of the
        engine is given as it is."""
        table = self._step.table
        if _is_several(table):
            return {name: _view(one, tp) for name, one in table.items()}
        return _view(table, tp)

    def _event(self, record: Message) -> Event:
        return Event(record.key(), self._decode(record.value()), record.headers(), record)

    def _encoded(self, result: Result) -> list[Output]:
        """All of a record's outputs, or none of them."""
        topic, encode = self._topic, self._encode
        if result is None:
            return []
        if topic is None:
            raise TypeError("the step returned an event, and is not told which topic it writes")
        events = (result,) if isinstance(result, Event) else result
        return [(topic, event.key, encode(event.value), event.headers, -1) for event in events]

    async def _again(self, message: Any, tried: _Try) -> list[Output]:
        record, error = tried
        if self._changes_tables and self._app.in_transaction:
            raise RecordFailed(record.offset(), error) from error
        for _ in range(self._app.engine.retries):
            try:
                return await self._async_once(record) if self._is_async else self._once(record)
            except Exception as once_more:  # noqa: BLE001 - the author's code: any error is the record's
                error = once_more
        self._dead_letter(message.tp, record, error)
        return []

    def _is_poison(self, tp: TP, record: Message) -> bool:
        error = self._app.consumer.blame.poison(tp, record.offset())
        if error is None:
            return False
        self._dead_letter(tp, record, error)
        return True

    def _dead_letter(self, tp: TP, record: Message, error: BaseException) -> None:
        self._app.consumer.dead_letter(tp, record.offset(), record.key(), record.value(), error)


def _is_several(table: Any) -> bool:
    """Tables by name."""
    return type(table) is dict and any(isinstance(one, Table | WindowWrapper) for one in table.values())


def _now(event: Event) -> Now:
    """The record, where windows are chosen by its time: for Faust the current event is the batch."""
    return Now(Place(event.topic, event.partition, event.timestamp_ms / 1000), event.value)


def _view(table: Any, tp: TP) -> Any:
    return table.view(tp.partition, tp.topic) if isinstance(table, Table) else table


def agent_for(app: Any, reads: str | re.Pattern[str], step: Step) -> Any:
    """The agent that runs the step."""
    runner = StepRunner(app, step)

    async def run(stream: Any) -> None:
        await runner.run(stream)

    name = cast(Any, step.function).__name__
    run.__name__ = run.__qualname__ = name
    is_pattern = isinstance(reads, re.Pattern)
    topic = app.topic(pattern=reads, schema=Batches()) if is_pattern else app.topic(reads, schema=Batches())
    return app.agent(topic, name=f"{app.conf.id}.{name}")(run)
