"""One worker of the tests, in a process of its own: `worker_app.py <settings as JSON>`.

An event is `{"id": n, "key": k}`. One with `"poison": true` raises, after it has done all that it does; one with
`"odd": true` raises the first time that a process sees it; an agent never finishes one with `"endless": true`, and one
with `"blocks": true` blocks the event loop for ever. The output is the event, with how often its key was counted where
there is a table.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import faust
from faust.types import TP

from mainstem.process.librdkafka import App, EngineOptions, Event, Observer
from mainstem.process.librdkafka.transaction import Writer
from tests.integration.process.librdkafka.worker_tables import MODES

SECOND = 1_000_000
"""What the second agent adds to the ids."""


@dataclass(frozen=True)
class Settings:
    """What a test says to its worker."""

    app: str
    member: str
    """Of a process of the test; the engine is told if the worker is named."""
    bootstrap: str
    reads: str
    writes: str
    datadir: str
    guarantee: str = "exactly_once"
    mode: str = "step"
    """`step`, `async step`, `agent`, `batches`; `agents` are two of one topic, of which the second is slow; or one of
    `worker_tables.MODES`."""
    by_pattern: bool = False
    """It reads besides all topics whose names go on after `reads` with a dot and letters."""
    has_table: bool = False
    standby: bool = False
    store: str = "memory://"
    concurrency: int = 1
    """Of the agent."""
    endures: bool = False
    """Events that are endless, or that block, end at once."""
    is_named: bool = True
    fault: tuple[str, str, float] | None = None
    """Where, `kill` or `stop`, and at which share of the calls: 0.3 is one of the first three."""
    session_s: float = 6.0
    slow_s: float = 0.0
    """What each event takes an agent or a step besides."""
    takes_s: float = 0.005
    """An event of `batches`: slow enough for commits to come in the middle of a batch."""
    observes: bool = False
    """Writes what the engine tells, and how far the worker is, into `datadir/told.ndjson`."""
    engine: dict[str, Any] = field(default_factory=dict)


def arm(fault: tuple[str, str, float]) -> None:
    """Makes this process fall over beside one of the transaction's calls: `flush`, `offsets` or `commit`, `before` or
    `after` it. Once, for one that was asleep may live on; and soon, in one of so few calls, whatever is left to do."""
    place, action, share = fault
    when, call = place.split(" ")
    original: Callable[..., Any] = getattr(Writer, call)
    calls, at = itertools.count(1), random.randint(1, round(1 / share))

    def fall() -> None:
        if next(calls) == at:
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action])

    def faulty(self: Writer, *args: Any) -> None:
        if when == "before":
            fall()
        original(self, *args)
        if when == "after":
            fall()

    setattr(Writer, call, faulty)


class Recorder(Observer):
    """Writes all that it is told into a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def write(self, what: str, **told: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"what": what, **told}) + "\n")

    def fetched(self, partition: TP, events: int) -> None:
        self.write("fetched", events=events)

    def delivered(self, partition: TP, events: int) -> None:
        self.write("delivered", events=events)

    def committed(self, events: int, epoch_s: float, commit_s: float) -> None:
        self.write("committed", events=events, epoch_s=epoch_s, commit_s=commit_s)

    def aborted(self, reason: str) -> None:
        self.write("aborted", reason=reason)

    def dead_lettered(self, partition: TP, offset: int, error: BaseException) -> None:
        self.write("dead_lettered", offset=offset, error=str(error))

    def lagging(self, behind: Mapping[TP, int]) -> None:
        self.write("lagging", behind=sum(behind.values()), partitions=len(behind))


class Counter:
    """What the worker does to an event."""

    def __init__(self, table: Any, *, endures: bool) -> None:
        self.table = table
        self.endures = endures
        self.seen: set[int] = set()

    def count(self, data: dict[str, Any]) -> dict[str, Any]:
        made = dict(data)
        if self.table is not None:
            entry = self.table[data["key"]]
            entry["n"] += 1  # in place: an abort has to undo that too
            self.table[data["key"]] = entry
            made["count"] = entry["n"]
        return made

    def judge(self, data: dict[str, Any]) -> None:
        while data.get("blocks") and not self.endures:
            time.sleep(60)
        if data.get("poison"):
            raise ValueError("poison")
        if data.get("odd") and data["id"] not in self.seen:
            self.seen.add(data["id"])
            raise ValueError("odd")


def build(settings: Settings) -> App:
    recorder = Recorder(Path(settings.datadir) / "told.ndjson") if settings.observes else None
    observed: dict[str, Any] = {"observer": recorder} if recorder else {}
    app = App(
        settings.app,
        broker=f"librdkafka://{settings.bootstrap}",
        processing_guarantee=settings.guarantee,
        store=settings.store,
        datadir=settings.datadir,
        broker_commit_interval=0.2,
        broker_session_timeout=settings.session_s,
        topic_partitions=3,
        engine=EngineOptions(member=settings.member if settings.is_named else None, **observed, **settings.engine),
    )
    if recorder is not None:
        app.timer(0.2)(_report(app, recorder))
    if settings.mode in MODES:
        MODES[settings.mode](app, settings.reads, settings.writes)
        return app
    options: dict[str, Any] = {"default": lambda: {"n": 0}, "partitions": 3, "standby": settings.standby}
    table = app.Table("counts", **options) if settings.has_table else None
    counter = Counter(table, endures=settings.endures)
    if settings.mode in {"agent", "agents"}:
        _agent(app, settings, counter)
        if settings.mode == "agents":
            _second_agent(app, settings)
    elif settings.mode == "batches":
        _batches(app, settings)
    else:
        _step(app, settings, counter)
    return app


def _report(app: App, recorder: Recorder) -> Callable[[], Awaitable[None]]:
    async def report() -> None:
        progress = app.progress
        recorder.write("progress", is_ready=app.is_ready, partitions=progress.partitions)

    return report


def _step(app: App, settings: Settings, counter: Counter) -> None:
    def count(event: Event, table: Any) -> Event:
        made = counter.count(event.value)
        counter.judge(event.value)
        return event.with_value(made)

    def count_slowly(event: Event, table: Any) -> Event:
        time.sleep(settings.slow_s)
        return count(event, table)

    async def count_async(event: Event, table: Any) -> Event:
        if settings.slow_s:
            await asyncio.sleep(settings.slow_s)
        return count(event, table)

    is_async = settings.mode == "async step"
    app.step(
        _pattern(settings) if settings.by_pattern else settings.reads,
        writes=settings.writes,
        table=counter.table,
        decode=lambda raw: json.loads(raw or b"{}"),
        encode=lambda data: json.dumps(data).encode(),
        concurrency=4 if is_async else 1,
    )(count_async if is_async else count_slowly if settings.slow_s else count)


def _pattern(settings: Settings) -> re.Pattern[str]:
    return re.compile(re.escape(settings.reads) + r"(\.[a-z]+)?")


def _agent(app: App, settings: Settings, counter: Counter) -> None:
    names = [] if settings.by_pattern else [settings.reads]
    pattern = _pattern(settings) if settings.by_pattern else None
    source = app.topic(*names, pattern=pattern, key_serializer="raw", value_serializer="json")
    sink = app.topic(settings.writes, key_serializer="raw", value_serializer="json")

    @app.agent(source, concurrency=settings.concurrency)
    async def count(stream: Any) -> None:
        async for event in stream.events():
            if event.value.get("endless") and not settings.endures:
                await asyncio.Event().wait()
            if settings.slow_s:
                await asyncio.sleep(settings.slow_s)
            await sink.send(key=event.key, value=counter.count(event.value))
            counter.judge(event.value)


class Written(NamedTuple):
    """An output."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = -1


class Batch(NamedTuple):
    """What a batch became."""

    records: list[Written]
    committed: Callable[[], None]


def _batches(app: App, settings: Settings) -> None:
    async def copy(messages: Sequence[Any]) -> Batch:
        made = []
        for message in messages:
            await asyncio.sleep(settings.takes_s)
            if json.loads(message.value()).get("endless") and not settings.endures:
                await asyncio.Event().wait()
            made.append(Written(settings.writes, message.key(), message.value()))
        return Batch(made, lambda: None)

    app.batches(settings.reads, copy)


def _second_agent(app: App, settings: Settings) -> None:
    source = app.topic(settings.reads, key_serializer="raw", value_serializer="json")
    sink = app.topic(settings.writes, key_serializer="raw", value_serializer="json")

    @app.agent(source)
    async def dawdle(stream: Any) -> None:
        async for event in stream.events():
            await asyncio.sleep(0.002)
            await sink.send(key=event.key, value={**event.value, "id": event.value["id"] + SECOND})


if __name__ == "__main__":
    asked = Settings(**json.loads(sys.argv[1]))
    if asked.fault is not None:
        arm(asked.fault)
    faust.Worker(build(asked), loglevel="info", quiet=True).execute_from_commandline()
