"""One stream's function over a batch of raw messages, under one policy for what goes wrong. Knows nothing of Faust."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mainstem.codec.avro import FRAME_BYTES, Decoder
from mainstem.codec.message import Message, ReceivedEvent, read_event
from mainstem.errors import (
    BAD_PAYLOAD,
    FOREIGN_SCHEMA,
    FUNCTION_FAILED,
    MAPPING_FAILED,
    NOT_AVRO,
    RETRIES_EXHAUSTED,
    MainstemError,
    Misconfigured,
    Rejected,
    Retryable,
    Unreachable,
)
from mainstem.event import Event
from mainstem.flow.dead_letter import Failure, cause, dead_letter, first_origin
from mainstem.flow.letter_status import WAITING, status_record
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.record import Record
from mainstem.process.duplicates import Duplicates
from mainstem.process.outputs import Outputs
from mainstem.process.report import STEP, StreamReport
from mainstem.project import names
from mainstem.sdk.stream import Result, Stream, Table

CONCURRENT = 100
"""Keys whose async functions are under way at once."""
KNOWN_SCHEMAS = 1000
RETRY = RetryPolicy(max_s=30.0)
OUTAGE = RetryPolicy(max_s=5.0)
UNDECODABLE = {NOT_AVRO, FOREIGN_SCHEMA, BAD_PAYLOAD}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what."""

    retry: RetryPolicy = RETRY
    """For a record whose function says Retryable; out of attempts it is a dead letter."""
    outage: RetryPolicy = OUTAGE
    """For a dependency that does not answer: no record's fault, so it goes on for as long as it takes."""
    pause_s: float = 10.0
    """Between two tries while a person has to change something."""
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep)


@dataclass(frozen=True, slots=True)
class _Done:
    outcome: str
    records: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """What a batch became: outputs and dead letters, in order."""

    records: Sequence[Record]
    committed: Callable[[], None]
    """To be called when the records and the offsets of the batch are committed."""


class StreamRunner:
    """Turns batches of one stream's input into what is to be written. `step` is what an engine hosts."""

    def __init__(  # noqa: PLR0913 - what a stream is made of
        self,
        stream: Stream,
        *,
        tables: Mapping[str, Table],
        decoder: Decoder,
        outputs: Outputs,
        duplicates: Duplicates,
        report: StreamReport,
        patience: Patience | None = None,
    ) -> None:
        self._stream = stream
        self._tables = tables
        self._decoder = decoder
        self._outputs = outputs
        self._duplicates = duplicates
        self._report = report
        self._patience = patience or Patience()
        self._dlq = names.stream_dead_letters(stream.name)
        self._file = inspect.getsourcefile(stream.function)
        self._known: set[bytes] = set()

    async def step(self, messages: Sequence[Message]) -> Made:
        """Does not raise; waits for as long as it takes."""
        events = [read_event(message, self._decoder) for message in messages]
        doubled = await self._doubled(events)
        fresh = [event for event, twice in zip(events, doubled, strict=True) if not twice]
        done = await (self._by_key(fresh) if self._stream.is_async else self._one_by_one(fresh))
        outcomes = Counter(each.outcome for each in done) | Counter(duplicate=sum(doubled))
        return Made([record for each in done for record in each.records], partial(self._report.done, outcomes))

    async def _doubled(self, events: Sequence[ReceivedEvent]) -> list[bool]:
        failures = 0
        while True:
            try:
                return await self._duplicates.among(events)
            except Retryable as error:
                failures += 1
                await self._wait(error, failures)
            except MainstemError as error:
                await self._pause(error)

    async def _one_by_one(self, events: Sequence[ReceivedEvent]) -> list[_Done]:
        """Without a coroutine for those that go well, which is nearly all: it costs as much as decoding."""
        done = []
        for event in events:
            first: Exception | None = None
            if self._is_known(event):
                try:
                    result = self._stream(event, **self._tables)
                    if not isinstance(result, Event) and inspect.isawaitable(result):
                        result = await result
                    done.append(self._made(event, result))
                    continue
                except Exception as error:  # noqa: BLE001 - it is judged by _settle
                    first = error
            done.append(await self._settle(event, first))
        return done

    async def _by_key(self, events: Sequence[ReceivedEvent]) -> list[_Done]:
        """Records of one key one after the other, different keys at the same time. A record without a key is alone."""
        lanes: dict[object, list[int]] = {}
        for at, event in enumerate(events):
            key = event.message.key()
            lanes.setdefault(at if key is None else key, []).append(at)
        done: dict[int, _Done] = {}
        limit = asyncio.Semaphore(CONCURRENT)

        async def run(lane: Sequence[int]) -> None:
            async with limit:
                for at in lane:
                    done[at] = await self._settle(events[at])

        async with asyncio.TaskGroup() as group:
            for lane in lanes.values():
                group.create_task(run(lane))
        return [done[at] for at in range(len(events))]

    async def _settle(self, event: ReceivedEvent, error: Exception | None = None) -> _Done:
        """Tries until it is done or refused. `error` is what a first attempt has ended with."""
        failures = outages = 0
        while True:
            try:
                if error is not None:
                    raise error
                return await self._process(event)
            except Rejected as refused:
                return self._refuse(event, refused, failures + 1)
            except Unreachable as away:
                outages += 1
                await self._wait(away, outages)
            except Retryable as later:
                failures += 1
                if self._patience.retry.is_exhausted(failures):
                    last = Rejected(f"{failures} attempts failed, the last: {later.cause}", code=RETRIES_EXHAUSTED)
                    return self._refuse(event, last, failures)
                self._report.waits(later)
                await self._patience.sleep(self._patience.retry.pause(failures, wish_s=later.after_s))
            except MainstemError as wrong:
                await self._pause(wrong)
            except Exception as bug:  # noqa: BLE001 - the boundary of the author's code: a bug pauses, no record is lost
                if event.message.value() is None:
                    return self._refuse(event, _not_for_tombstones(bug), failures + 1)
                await self._pause(self._as_error(event, bug), bug)
            # Anew each time: the function may have changed its data.
            event, error = read_event(event.message, self._decoder), None

    async def _process(self, event: ReceivedEvent) -> _Done:
        if not self._is_known(event):
            await self._look_up_schema(event)
        result = self._stream(event, **self._tables)
        if inspect.isawaitable(result):
            result = await result
        return self._made(event, result)

    def _made(self, event: ReceivedEvent, result: Result) -> _Done:
        records = self._outputs.records(event, result)
        return _Done("processed" if records else "skipped", records)

    def _is_known(self, event: ReceivedEvent) -> bool:
        """Whether its schema is, so that to decode it asks the registry nothing. A tombstone has none."""
        value = event.message.value()
        return value is None or value[:FRAME_BYTES] in self._known

    async def _look_up_schema(self, event: ReceivedEvent) -> None:
        """Asks the registry for a schema that is met for the first time from a thread: it would stop the loop."""
        await asyncio.to_thread(lambda: event.payload)
        if len(self._known) < KNOWN_SCHEMAS:
            self._known.add((event.message.value() or b"")[:FRAME_BYTES])

    def _refuse(self, event: ReceivedEvent, error: Rejected, attempts: int) -> _Done:
        if error.code is Rejected.default:
            error.code = MAPPING_FAILED
        step = "decode" if error.code in UNDECODABLE else STEP
        failure = Failure(error, self._stream.name, step, attempts)
        self._report.dead_letter(event, failure)
        status = status_record(
            self._dlq,
            event.id,
            WAITING,
            origin=first_origin(event.message),
            cause=cause(failure),
            code=error.code.number,
        )
        return _Done("dead_lettered", [dead_letter(event.message, failure, self._dlq), status])

    async def _wait(self, error: Retryable, failures: int) -> None:
        self._report.waits(error)
        await self._patience.sleep(self._patience.outage.pause(failures, wish_s=error.after_s))

    async def _pause(self, error: MainstemError, bug: BaseException | None = None) -> None:
        self._report.pauses(error, bug)
        await self._patience.sleep(self._patience.pause_s)

    def _as_error(self, event: Event, bug: Exception) -> Misconfigured:
        said = f"{self._stream.name} failed at {event.origin} with {type(bug).__name__}{self._line(bug)}"
        return Misconfigured(said, code=FUNCTION_FAILED)

    def _line(self, bug: Exception) -> str:
        """The innermost line of the stream's own file; empty where it has no part in it."""
        own = [frame for frame in traceback.extract_tb(bug.__traceback__) if frame.filename == self._file]
        return f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def _not_for_tombstones(bug: Exception) -> Rejected:
    return Rejected(f"a tombstone, and the function does not take any ({type(bug).__name__})", code=MAPPING_FAILED)
