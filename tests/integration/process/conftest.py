"""A project with one stream of its own on the real stack, and what a test does to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest
from confluent_kafka import Message

from mainstem import Event
from mainstem.codec.avro import Codec
from mainstem.codec.headers import write_headers
from mainstem.codec.registry import Registry, value_subject
from mainstem.devstack import Stack
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.observe.board import Board, Status
from mainstem.process.supervisor import StreamSupervisor

COMPACTED = {"cleanup.policy": "compact"}
FIELDS = [{"name": "n", "type": "int"}, {"name": "text", "type": "string", "default": ""}]


@dataclass
class Place:
    """The stream, its topics, and the way to both."""

    folder: Path
    config: dict[str, str]
    codec: Codec
    producer: DurableProducer
    tag: str

    @property
    def stream(self) -> str:
        return f"count_{self.tag}"

    @property
    def reads(self) -> str:
        return f"t{self.tag}.order.v1"

    @property
    def writes(self) -> str:
        return f"t{self.tag}.total.v1"

    @property
    def table(self) -> str:
        return f"t{self.tag}.shop.v1"

    @property
    def dlq(self) -> str:
        return f"{self.stream}.dlq"

    def write_stream(self, body: str, *, define: str = "def", arguments: str = "event", tables: str = "") -> None:
        """Writes streams/<stream>.py: `body` is the inside of the function."""
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        code = (
            "import asyncio\nfrom mainstem import Event, Rejected, stream\n\n"
            f"@stream(reads={self.reads!r}, writes={self.writes!r}, tables={{{tables}}})\n"
            f"{define} {self.stream}({arguments}):\n{lines}\n"
        )
        (self.folder / "streams" / f"{self.stream}.py").write_text(code)

    def record(self, n: int, *, key: str, event_id: str | None = None, topic: str | None = None) -> Record:
        """One event that says `n`."""
        topic = topic or self.reads
        event = Event(id=event_id or f"e{n}", type=topic.removesuffix(".v1"), source="/test", headers={"mine": "kept"})
        return Record(topic, key.encode(), self.codec.encoder(topic).encode({"n": n}), write_headers(event))

    def read(self, topic: str) -> list[Message]:
        """All of a topic's committed records, in order within each partition."""
        with reading(self.config) as reader:
            return [message for batch in reader.read(reader.whole([topic])) for message in batch]

    def committed(self) -> int:
        """Offsets that the group has committed, all partitions together."""
        return sum(at or 0 for at, _ in Admin(self.config).group(f"mainstem.{self.stream}").positions.values())


@dataclass
class Running:
    """A supervised stream."""

    supervisor: StreamSupervisor
    board: Board
    stream: str
    stop: asyncio.Event
    task: asyncio.Task[None]

    @property
    def status(self) -> Status:
        return self.board.parts()[self.stream]

    @property
    def counts(self) -> Mapping[str, int]:
        return self.supervisor.counts

    async def end(self) -> float:
        """Stops it gently; gives the seconds that it took."""
        began = monotonic()
        self.stop.set()
        await self.task
        return monotonic() - began

    def kill(self) -> None:
        if self.supervisor.pid is not None:
            os.kill(self.supervisor.pid, signal.SIGKILL)


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits for it with a deadline."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)


Start = Callable[[], Awaitable[Running]]


@pytest.fixture
async def place(stack: Stack, tmp_path: Path) -> AsyncIterator[Place]:
    tag = uuid4().hex[:8]
    config = {"bootstrap.servers": stack.bootstrap}
    schemas = {f"t{tag}.{name}.v1": _schema(tag, name) for name in ("order", "total", "shop")}
    async with DurableProducer(config) as producer:
        registry = Registry(stack.registry_url)
        made = Place(tmp_path, config, Codec(registry, schemas), producer, tag)
        for topic, schema in schemas.items():
            await asyncio.to_thread(registry.register, value_subject(topic), schema)
            path = tmp_path / "schemas" / f"t{tag}" / f"{topic.split('.')[1]}.v1.avsc"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(schema))
        await asyncio.to_thread(Admin(config).create, _topics(made))
        for folder in ("streams", "integrations"):
            (tmp_path / folder).mkdir()
        (tmp_path / "integrations" / "it.yaml").write_text(
            f"integration: it\nowner: us\nstreams: [{made.stream}]\n", encoding="utf-8"
        )
        (tmp_path / "mainstem.yaml").write_text(
            f"project: it\nkafka: {{bootstrap: '{stack.bootstrap}'}}\nregistry: {{url: '{stack.registry_url}'}}\n",
            encoding="utf-8",
        )
        yield made
        registry.close()


@pytest.fixture
async def start(place: Place) -> AsyncIterator[Start]:
    """Starts the stream under a supervisor; whatever still runs at the end is stopped."""
    async with AsyncExitStack() as running:
        yield lambda: running.enter_async_context(_supervised(place))


@asynccontextmanager
async def _supervised(place: Place) -> AsyncIterator[Running]:
    board, stop = Board(), asyncio.Event()
    supervisor = StreamSupervisor(place.folder, place.stream, board)
    running = Running(supervisor, board, place.stream, stop, asyncio.create_task(supervisor.run(stop)))
    yield running
    await running.end()


def _schema(tag: str, name: str) -> dict[str, object]:
    return {"type": "record", "namespace": f"t{tag}", "name": name, "fields": FIELDS}


def _topics(place: Place) -> Sequence[TopicSpec]:
    return [
        *(TopicSpec(topic, 3) for topic in (place.reads, place.writes, place.dlq)),
        TopicSpec(place.table, 3, config=COMPACTED),
        TopicSpec("_mainstem.letters", 1, config=COMPACTED),
    ]
