"""Recorded events, and what a stream makes of them, as files with a JSON object a line: the cases of `mainstem test`.

    tests/streams/settle_payments/refunds/events.ndjson      what the stream reads
    tests/streams/settle_payments/refunds/products.ndjson    what its table `products` holds
    tests/streams/settle_payments/refunds/expected.ndjson    what it writes

A line has `data` (null for a tombstone), and `key`, `id` and `time` where they matter: `mainstem topic tail --reveal -o
ndjson` prints records so. It is coerced and encoded by the schemas, as on its way through Kafka.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from mainstem.codec import headers as h
from mainstem.errors import BAD_PROJECT, Misconfigured, Rejected, RequestRefused
from mainstem.event import Event
from mainstem.ingest.writing import EventWriter
from mainstem.project import names
from mainstem.project.findings import did_you_mean, listed
from mainstem.sdk.stream import Stream
from mainstem.testing.backbone import MemoryBackbone

CASES: Final = Path("tests/streams")
EVENTS: Final = "events.ndjson"
EXPECTED: Final = "expected.ndjson"
ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When an event happened that does not say so: the same at each run."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One folder of recorded events."""

    stream: str
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def events(self) -> Path:
        return self.folder / EVENTS

    @property
    def expected(self) -> Path:
        return self.folder / EXPECTED

    def tables(self, stream: Stream) -> dict[str, Path]:
        """The files of the stream's tables, as far as they are there: one that is not is an empty table."""
        return {name: path for name in stream.tables if (path := self.folder / f"{name}.ndjson").exists()}


@dataclass(frozen=True, slots=True)
class Made:
    """What a stream made of some events."""

    read: int
    written: Sequence[Row]
    dead_letters: Sequence[Row]


def find_cases(project: Path) -> list[Case]:
    """Those of a project's folder, by stream and name."""
    return [Case(path.parent.parent.name, path.parent) for path in sorted((project / CASES).glob(f"*/*/{EVENTS}"))]


async def make(project: Path, stream: Stream, events: Path, tables: Mapping[str, Path]) -> Made:
    """Runs the stream on recorded events, without Kafka.

    Raises Misconfigured for a line that is no event of its topic, naming file and line; and what would pause the
    stream, a bug included.
    """
    for name in tables:
        if name not in stream.tables:
            near = did_you_mean(name, stream.tables)
            raise Misconfigured(f"{stream.name} has no table `{name}`{near}", fix=f"one of: {listed(stream.tables)}")
    async with MemoryBackbone(project) as backbone:
        for name, path in tables.items():
            _fill(backbone, stream.tables[name], path)
        read = _fill(backbone, stream.reads, events)
        written = await backbone.run(stream)
        return Made(
            read,
            [{"topic": stream.writes, "key": e.key, "id": e.id, "time": e.time, "data": e.payload} for e in written],
            [
                {
                    "topic": names.stream_dead_letters(stream.name),
                    "key": letter.key,
                    "id": letter.event_id,
                    "code": letter.fault.code,
                    "cause": letter.fault.message,
                }
                for letter in backbone.dead_letters(stream.name)
            ],
        )


def _fill(backbone: MemoryBackbone, topic: str, path: Path) -> int:
    writer = EventWriter(backbone.codec.encoder(topic), backbone.codec.coercer(topic))
    count = 0
    for number, event in _read(path):
        try:
            record = writer.record(writer.complete(event, "recorded"))
        except Rejected as error:
            raise _wrong(path, number, _said(error), fix=f"it has to fit the schema of {topic}") from None
        backbone.topics.append([record])
        count += 1
    return count


def _read(path: Path) -> Iterator[tuple[int, Event]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}", code=BAD_PROJECT) from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, _event(path, number, line)


def _event(path: Path, number: int, line: bytes) -> Event:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _wrong(path, number, f"no JSON: {error}") from None
    if not isinstance(row, dict) or "data" not in row:
        said = " it shows an undecodable record" if isinstance(row, dict) and "error" in row else ""
        raise _wrong(path, number, f"no recorded event: there is no `data`.{said}")
    data, time = row["data"], row.get("time")
    if data is not None and not isinstance(data, dict):
        raise _wrong(path, number, "`data` is no object")
    happened = ONCE if time is None else h.parse_time(str(time).encode())
    if happened is None:
        raise _wrong(path, number, f"`time` is no RFC 3339 time: {time}")
    key, event_id = row.get("key"), row.get("id")
    return Event(
        id=f"{path.stem}:{number}" if event_id is None else str(event_id),
        key=None if key is None else str(key),
        time=happened,
        data=data,
    )


def _said(error: Rejected) -> str:
    fields = error.fields if isinstance(error, RequestRefused) else ()
    return "; ".join(f"{each.field} has to be {each.expected}" for each in fields) or error.cause


def _wrong(path: Path, number: int, said: str, *, fix: str = "") -> Misconfigured:
    return Misconfigured(f"{path}:{number}: {said}", code=BAD_PROJECT, fix=fix or "correct that line, or take it out")
