"""A whole backbone in memory, for the tests of connectors and streams.

    async with MemoryBackbone(Path(".")) as backbone:
        await backbone.read(FileSource(path="products.csv", key="product_id"), topic="raw.catalog.product.v1")
        await backbone.receive(webhook, signed_request, topic="raw.till.basket.v1")
        await backbone.run(settle_payments)
        await backbone.deliver(sink, ["payments.payment_settled.v1"], journal_lines)
        assert backbone.dead_letters("test.sink") == []

The pieces are the real ones: Avro both ways, the intake and its duplicates, the stream's runner, the mapping, the
halving of refused batches, parked keys and dead letters. Only Kafka and the registry are replaced, and nothing ever
waits: what would pause a running backbone (a bug, a wrong setting, an outage) is raised.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from mainstem.codec.avro import Codec
from mainstem.codec.message import Message, read_event
from mainstem.codec.registry import Definition
from mainstem.deliver.place import Placement
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.event import Event, Partition
from mainstem.flow.item import OnFailure
from mainstem.flow.letter_status import TOPIC as STATUSES
from mainstem.flow.letter_status import read_status
from mainstem.flow.settlement import Settlement
from mainstem.ingest.intake import Intake, Receipt, Sender
from mainstem.ingest.once import Once
from mainstem.ingest.packing import Packer
from mainstem.ingest.push import PushIngest
from mainstem.ingest.watch import Watch
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.record import Record
from mainstem.observe.board import Board
from mainstem.process.duplicates import Duplicates
from mainstem.process.outputs import Outputs
from mainstem.process.reference import tables_of
from mainstem.process.runner import Patience, StreamRunner
from mainstem.project import names
from mainstem.project.findings import ProjectError
from mainstem.project.mapping import as_it_is, by_function
from mainstem.project.schemas import read_schemas
from mainstem.recover.letters import Letter, LetterBox, identity_of, project
from mainstem.recover.redrive import plan, redriven_record
from mainstem.recover.selection import Selection
from mainstem.sdk.sink import Claim, Row, Sink, SinkIdentity, Target, TransactionalSink
from mainstem.sdk.source import Position, PushSource, Request, Source
from mainstem.sdk.stream import Stream, Table
from mainstem.testing.memory_registry import MemoryRegistry
from mainstem.testing.memory_target import MemoryStore
from mainstem.testing.memory_topics import MemoryTopics
from mainstem.testing.plain_target import PlainTarget
from mainstem.testing.raising_report import RaisingReport

INTEGRATION = "test"
WINDOW = 10_000
"""Event ids that the intake remembers."""


class MemoryBackbone:
    """Topics, registry and every stage in memory. `schemas` is a project folder, or definitions by topic.

    A source, stream or sink is known by its name: its position is kept, so the same call again goes on from there.
    Raises ProjectError for a schema file that is not valid. Use as a context manager.
    """

    def __init__(self, schemas: Path | Mapping[str, Definition]) -> None:
        definitions = _read(schemas) if isinstance(schemas, Path) else schemas
        self.board = Board()
        self.topics = MemoryTopics()
        self.codec = Codec(MemoryRegistry(definitions), definitions)
        self._once: dict[str, Once] = {}
        self._positions: dict[str, Position] = {}
        self._next: dict[str, int] = {}
        self._stores: dict[str, MemoryStore] = {}

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._watch = await self._stack.enter_async_context(Watch(self.board, "receive", _is_well))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def publish(self, topic: str, events: Sequence[Event]) -> Receipt:
        """Publishes events as the gateway's API does. Raises RequestRefused for data that does not fit the schema."""
        return await self._intake(topic).publish(events, Sender(INTEGRATION))

    async def receive(self, source: PushSource, request: Request, *, topic: str, name: str = "source") -> Receipt:
        """One request to a push source, as the gateway takes it. Raises RequestRefused."""
        return await PushIngest(INTEGRATION, name, source, self._intake(topic), self._watch).receive(request)

    async def read(self, source: Source, *, topic: str, name: str = "source") -> int:
        """Reads a source to its end, from where it stood, and gives the number of records that came of it.

        An event that does not fit the schema is a dead letter of `test.<name>`. Raises what the source raises.
        """
        packer, count = Packer(INTEGRATION, name, self._writer(topic)), 0
        async for batch in source.read(self._positions.get(f"{name} {topic}")):
            packed = await packer.pack(batch)
            self.topics.append(packed.records)
            self._positions[f"{name} {topic}"] = json.loads(json.dumps(dict(packed.position)))
            await source.acknowledge(packed.position)
            count += len(packed.records)
        return count

    async def run(self, stream: Stream, *, tables: Mapping[str, Table] | None = None) -> list[Event]:
        """Gives the stream what is new in its input topic, and returns the events that it wrote.

        `tables` are those of its topics unless they are given. Raises what would pause the stream, a bug included; one
        that asks for a retry gets it at once.
        """
        group, start = names.stream_group(stream.name), len(self.topics.read(stream.writes))
        messages = self.topics.read(stream.reads, self._next.get(f"{group} {stream.reads}", 0))
        runner = StreamRunner(
            stream,
            tables=self._tables(stream) if tables is None else tables,
            decoder=self.codec.decoder(stream.reads),
            outputs=Outputs(stream, self.codec.encoder(stream.writes)),
            duplicates=Duplicates(self.topics.tail),
            report=RaisingReport(stream.name, self.board),
            patience=Patience(sleep=_at_once),
        )
        made = await runner.step(messages)
        self.topics.append(made.records)
        made.committed()
        self._next[f"{group} {stream.reads}"] = len(self.topics.read(stream.reads))
        return self.topic(stream.writes)[start:]

    async def deliver(
        self,
        sink: Sink | TransactionalSink,
        topics: Sequence[str],
        mapping: Callable[[Event], Any] | None = None,
        *,
        name: str = "sink",
        on_failure: OnFailure = OnFailure.PARK,
    ) -> Settlement:
        """Delivers what is new in the topics, and what was redriven, in one batch; says what became of each record.

        Without a mapping a record is one row. Raises what would make the sink wait or pause; nothing is settled then.
        """
        agreed = _plan(name, topics, as_it_is if mapping is None else by_function(mapping), on_failure)
        async with self._target(sink, SinkIdentity(INTEGRATION, name)) as target:
            partitions = [Partition(topic, 0) for topic in agreed.subscribed]
            claims = {claim.partition: claim for claim in await target.take_over(partitions)}
            items = Preparer(agreed, self.codec.decoder).prepare(self._due(claims))
            ends = {item.partition: item.offset + 1 for item in items}
            parked = await target.parked(topics)
            settlement = await Placement(agreed, target).place(items, claims, ends, parked)
            await self._ship(target, claims)
        return settlement

    def redrive(self, name: str = "sink", selection: Selection | None = None) -> int:
        """Gives a sink its dead letters again with the next `deliver`: all that wait, or those that are selected."""
        box = self._letters(names.sink_dead_letters(INTEGRATION, name))
        agreed = plan(box, selection or Selection(everything=True))
        topic = names.sink_redrive(INTEGRATION, name)
        self.topics.append(redriven_record(letter, topic, "test", {topic: 1}) for letter in agreed.letters)
        return len(agreed.letters)

    def topic(self, name: str) -> list[Event]:
        """The events of a topic, in order, decoded when they are read."""
        decoder = self.codec.decoder(name)
        return [read_event(message, decoder) for message in self.topics.read(name)]

    def dead_letters(self, part: str) -> Sequence[Letter]:
        """The dead letters of a stream, or of `test.<name>` for a source or sink; each says its state and its fault."""
        return self._letters(f"{part}.dlq").letters

    def _intake(self, topic: str) -> Intake:
        return Intake(self._writer(topic), self.topics, self._once.setdefault(topic, Once(WINDOW)))

    def _writer(self, topic: str) -> EventWriter:
        return EventWriter(self.codec.encoder(topic), self.codec.coercer(topic))

    def _tables(self, stream: Stream) -> Mapping[str, Table]:
        tables, by_topic = tables_of(stream.tables, self.codec.decoder)
        for table in by_topic:
            table.apply(self.topics.read(table.topic))
        return tables

    def _due(self, claims: Mapping[Partition, Claim]) -> Iterable[Message]:
        return [m for claim in claims.values() for m in self.topics.read(claim.partition.topic, claim.next_offset or 0)]

    async def _ship(self, target: Target, claims: Iterable[Partition]) -> None:
        """What the outbox does on a real backbone."""
        for partition in claims:
            letters = await target.letters(partition, -1)
            self.topics.append(Record(letter.topic, letter.key, letter.value, letter.headers) for letter in letters)
            if letters:
                await target.forget_letters(partition, letters[-1].offset)

    @asynccontextmanager
    async def _target(self, sink: Sink | TransactionalSink, identity: SinkIdentity) -> AsyncIterator[Target]:
        if isinstance(sink, TransactionalSink):
            async with sink.open(identity) as target:
                yield target
        else:
            async with sink.open() as write:
                yield PlainTarget(write, self._stores.setdefault(identity.name, MemoryStore()), identity)

    def _letters(self, dlq: str) -> LetterBox:
        said = [read_status(message.value() or b"") for message in self.topics.read(STATUSES)]
        return project(dlq, self.topics.read(dlq), {identity_of(s): s for s in said if s.dlq == dlq})


def _read(folder: Path) -> dict[str, Definition]:
    schemas, findings = read_schemas(folder)
    for finding in findings:
        raise ProjectError(finding)
    return {topic: schema.definition for topic, schema in schemas.items()}


def _plan(
    name: str, topics: Sequence[str], mapping: Callable[[Event], Sequence[Row]], on_failure: OnFailure
) -> SinkPlan:
    return SinkPlan(
        integration=INTEGRATION,
        sink=name,
        topics=topics,
        group=names.sink_group(INTEGRATION, name),
        dlq=names.sink_dead_letters(INTEGRATION, name),
        redrive=names.sink_redrive(INTEGRATION, name),
        mapping=mapping,
        on_failure=on_failure,
    )


async def _is_well() -> None:
    """Memory is always reachable."""


async def _at_once(_seconds: float) -> None:
    await asyncio.sleep(0)
