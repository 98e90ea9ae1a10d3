"""What the workers of the tests do with tables: windows, re-partitioning, reference data, several tables at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mainstem.process.librdkafka import App, Event, Kind, Window

SIZE_S = 10
STEP_S = 5
EXPIRES_S = 20
JOIN_WINDOW = Window(before_ms=1_000, after_ms=3_000, grace_ms=500)


def decode(raw: bytes | None) -> Any:
    return json.loads(raw or b"{}")


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def windows_step(app: App, reads: str, writes: str) -> None:
    """Counts of the event's tumbling window, and of the youngest hopping window that it is in."""
    tumbling = app.Table("tumbling", default=int, partitions=3).tumbling(SIZE_S)
    hopping = app.Table("hopping", default=int, partitions=3).hopping(SIZE_S, STEP_S)

    @app.step(reads, writes=writes, table={"tumbling": tumbling, "hopping": hopping}, decode=decode, encode=encode)
    def count(event: Event, tables: Any) -> Event:
        key = event.value["key"]
        tables["tumbling"][key] += 1
        tables["hopping"][key] += 1
        return event.with_value(
            {**event.value, "tumbling": tables["tumbling"][key].current(), "hopping": tables["hopping"][key].current()}
        )


def windows_agent(app: App, reads: str, writes: str) -> None:
    """As the step."""
    tumbling = app.Table("tumbling", default=int, partitions=3).tumbling(SIZE_S)
    hopping = app.Table("hopping", default=int, partitions=3).hopping(SIZE_S, STEP_S)
    sink = app.topic(writes, key_serializer="raw", value_serializer="json")

    @app.agent(app.topic(reads, key_serializer="raw", value_serializer="json"))
    async def count(stream: Any) -> None:
        async for event in stream.events():
            key = event.value["key"]
            tumbling[key] += 1
            hopping[key] += 1
            counts = {"tumbling": tumbling[key].current(), "hopping": hopping[key].current()}
            await sink.send(key=event.key, value={**event.value, **counts})


def expiring(app: App, reads: str, writes: str) -> None:
    """Writes nothing but what was in each window when it was over."""
    sink = app.topic(writes, key_serializer="raw", value_serializer="json")

    async def closed(key: Any, count: int) -> None:
        await sink.send(key=key[0].encode(), value={"key": key[0], "start": key[1][0], "count": count})

    table = app.Table("windows", default=int, partitions=3, on_window_close=closed).tumbling(SIZE_S, expires=EXPIRES_S)

    @app.step(reads, table=table, decode=decode, encode=encode)
    def count(event: Event, windows: Any) -> None:
        windows[event.value["key"]] += 1


def grouped(app: App, reads: str, writes: str) -> None:
    """Counts by another key than the topic's: re-partitioned first."""
    counts = app.Table("groups", default=int, partitions=3)
    sink = app.topic(writes, key_serializer="raw", value_serializer="json")

    @app.agent(app.topic(reads, key_serializer="raw", value_serializer="json"))
    async def count(stream: Any) -> None:
        groups = stream.group_by(lambda value: value["group"].encode(), name="group", partitions=3)
        async for event in groups.events():
            group = event.value["group"]
            counts[group] += 1
            await sink.send(key=group.encode(), value={**event.value, "count": counts[group]})


def joined(app: App, reads: str, writes: str) -> None:
    """Looks each event up in reference data that every worker has, and counts it in a table of its own."""
    rates = app.GlobalTable("rates", reads=f"{reads}-rates", decode=json.loads)
    counts = app.Table("counts", default=int, partitions=3)

    @app.step(reads, writes=writes, table={"rates": rates, "counts": counts}, decode=decode, encode=encode)
    def join(event: Event, tables: Any) -> Event:
        key = event.value["key"]
        tables["counts"][key] += 1
        rate = tables["rates"].get(event.value["rate"].encode(), {"rate": None})
        return event.with_value({**event.value, "rate": rate["rate"], "count": tables["counts"][key]})


def right_of(topic: str) -> str:
    """The other topic of a join."""
    return f"{topic}-right"


def streams_join(app: App, reads: str, writes: str) -> None:
    """The ids of what belongs together; None for what stays alone."""
    app.join_streams(
        reads,
        right_of(reads),
        writes=writes,
        name="pairs",
        kind=Kind.OUTER,
        within=JOIN_WINDOW,
        join=lambda left, right: {"left": left and left["id"], "right": right and right["id"]},
        decode=decode,
        encode=encode,
        partitions=3,
    )


def tables_join(app: App, reads: str, writes: str) -> None:
    """The newest ids of both sides under each key."""
    app.join_tables(
        reads,
        right_of(reads),
        writes=writes,
        name="rows",
        kind=Kind.LEFT,
        join=lambda left, right: {"left": left["id"], "right": right and right["id"]},
        decode=decode,
        encode=encode,
        partitions=3,
    )


MODES: dict[str, Callable[[App, str, str], None]] = {
    "windows step": windows_step,
    "windows agent": windows_agent,
    "expiring": expiring,
    "grouped": grouped,
    "joined": joined,
    "streams join": streams_join,
    "tables join": tables_join,
}
