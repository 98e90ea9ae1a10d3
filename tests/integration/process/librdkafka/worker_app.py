"""One worker of the tests, in a process of its own: `worker_app.py <settings as JSON>`.

An event is `{"id": n, "key": k}`. One with `"poison": true` raises, after it has done all that it does; one with
`"odd": true` raises the first time that a process sees it; an agent never finishes one with `"endless": true`. The
output is the event, with how often its key was counted where there is a table.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import faust

from mainstem.process.librdkafka import App, EngineOptions, Event
from mainstem.process.librdkafka.transaction import Writer
from tests.integration.process.librdkafka.worker_tables import MODES


@dataclass(frozen=True)
class Settings:
    """What a test says to its worker."""

    app: str
    member: str
    bootstrap: str
    reads: str
    writes: str
    datadir: str
    guarantee: str = "exactly_once"
    mode: str = "step"
    """`step`, `async step` or `agent`; or one of `worker_tables.MODES`."""
    has_table: bool = False
    standby: bool = False
    store: str = "memory://"
    concurrency: int = 1
    """Of the agent."""
    endures: bool = False
    """An endless event ends at once."""
    fault: tuple[str, str, float] | None = None
    """Where, `kill` or `stop`, and at which share of the commits."""
    engine: dict[str, Any] = field(default_factory=dict)


def arm(fault: tuple[str, str, float]) -> None:
    """Makes this process fall over beside one of the transaction's calls: `flush`, `offsets` or `commit`, `before` or
    `after` it. Once: one that was asleep may live on."""
    place, action, share = fault
    when, call = place.split(" ")
    original: Callable[..., Any] = getattr(Writer, call)
    falls = iter([action])

    def fall() -> None:
        if random.random() < share and next(falls, None) is not None:
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action])

    def faulty(self: Writer, *args: Any) -> None:
        if when == "before":
            fall()
        original(self, *args)
        if when == "after":
            fall()

    setattr(Writer, call, faulty)


class Counter:
    """What the worker does to an event."""

    def __init__(self, table: Any) -> None:
        self.table = table
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
        if data.get("poison"):
            raise ValueError("poison")
        if data.get("odd") and data["id"] not in self.seen:
            self.seen.add(data["id"])
            raise ValueError("odd")


def build(settings: Settings) -> App:
    app = App(
        settings.app,
        broker=f"librdkafka://{settings.bootstrap}",
        processing_guarantee=settings.guarantee,
        store=settings.store,
        datadir=settings.datadir,
        broker_commit_interval=0.2,
        broker_session_timeout=6.0,
        topic_partitions=3,
        engine=EngineOptions(member=settings.member, **settings.engine),
    )
    if settings.mode in MODES:
        MODES[settings.mode](app, settings.reads, settings.writes)
        return app
    options: dict[str, Any] = {"default": lambda: {"n": 0}, "partitions": 3, "standby": settings.standby}
    table = app.Table("counts", **options) if settings.has_table else None
    counter = Counter(table)
    if settings.mode == "agent":
        _agent(app, settings, counter)
    else:
        _step(app, settings, counter)
    return app


def _step(app: App, settings: Settings, counter: Counter) -> None:
    def count(event: Event, table: Any) -> Event:
        made = counter.count(event.value)
        counter.judge(event.value)
        return event.with_value(made)

    async def count_async(event: Event, table: Any) -> Event:
        return count(event, table)

    is_async = settings.mode == "async step"
    app.step(
        settings.reads,
        writes=settings.writes,
        table=counter.table,
        decode=lambda raw: json.loads(raw or b"{}"),
        encode=lambda data: json.dumps(data).encode(),
        concurrency=4 if is_async else 1,
    )(count_async if is_async else count)


def _agent(app: App, settings: Settings, counter: Counter) -> None:
    source = app.topic(settings.reads, key_serializer="raw", value_serializer="json")
    sink = app.topic(settings.writes, key_serializer="raw", value_serializer="json")

    @app.agent(source, concurrency=settings.concurrency)
    async def count(stream: Any) -> None:
        async for event in stream.events():
            if event.value.get("endless") and not settings.endures:
                await asyncio.Event().wait()
            await sink.send(key=event.key, value=counter.count(event.value))
            counter.judge(event.value)


if __name__ == "__main__":
    asked = Settings(**json.loads(sys.argv[1]))
    if asked.fault is not None:
        arm(asked.fault)
    faust.Worker(build(asked), loglevel="info", quiet=True).execute_from_commandline()
