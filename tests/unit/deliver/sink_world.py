"""One sink around a MemoryStore, without Kafka: the real preparing and placing, with letters kept where Kafka would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from mainstem import Event, Partition, Rejected, Row, SinkIdentity, Target
from mainstem.codec.avro import Codec, Encoder
from mainstem.codec.headers import write_headers
from mainstem.codec.message import Message
from mainstem.deliver.place import Placement
from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.prepare import Preparer
from mainstem.flow.item import Item, OnFailure
from mainstem.flow.letter_status import DROPPED, LetterStatus, read_status
from mainstem.flow.letter_status import TOPIC as STATUSES
from mainstem.flow.settlement import Settlement
from mainstem.kafka.record import Record
from mainstem.recover.edit import edited_record
from mainstem.recover.letters import Letter, LetterBox, identity_of, project
from mainstem.recover.redrive import dropped_record, redriven_record
from mainstem.testing.memory_registry import MemoryRegistry
from mainstem.testing.memory_target import MemorySink, MemoryStore
from mainstem.testing.memory_topics import MemoryTopics

TOPIC, REDRIVE, DLQ = "shop.order.v1", "books.journal.redrive", "books.journal.dlq"
LIVE, AGAIN = Partition(TOPIC, 0), Partition(REDRIVE, 0)
ORDER = {
    "type": "record",
    "namespace": "shop",
    "name": "order",
    "fields": [{"name": "n", "type": "int"}, {"name": "text", "type": "string", "default": ""}],
}
CODEC = Codec(MemoryRegistry({TOPIC: ORDER}), {TOPIC: ORDER})
ENCODER: Encoder = CODEC.encoder(TOPIC)


def as_row(event: Event) -> Sequence[Row]:
    return [{"id": event.id, "key": event.key, "n": event.data["n"]}]


def plan(mapping: Callable[[Event], Sequence[Row]] = as_row, **changes: Any) -> SinkPlan:
    given: dict[str, Any] = {
        "integration": "books",
        "sink": "journal",
        "topics": [TOPIC],
        "group": "mainstem.books.journal",
        "dlq": DLQ,
        "redrive": REDRIVE,
        "mapping": mapping,
    }
    return SinkPlan(**given | changes)


def order(n: int, *, key: str | None = "k", event_id: str | None = None, topic: str = TOPIC, **data: Any) -> Record:
    """A record of the topic; its id is `e<n>`."""
    event = Event(id=event_id or f"e{n}", type="shop.order", source="/shop", key=key)
    value = ENCODER.encode({"n": n, "text": "", **data})
    return Record(topic, None if key is None else key.encode(), value, write_headers(event))


@dataclass
class World:
    """A sink's topics and target. The target refuses what is in `refused`, the mapping what is in `unmapped`."""

    on_failure: OnFailure = OnFailure.PARK
    topics: MemoryTopics = field(default_factory=MemoryTopics)
    store: MemoryStore = field(default_factory=MemoryStore)
    refused: set[int] = field(default_factory=set)
    unmapped: set[int] = field(default_factory=set)

    def plan(self) -> SinkPlan:
        return plan(self._map, on_failure=self.on_failure)

    def target(self, stack: AsyncExitStack) -> Any:
        sink = MemorySink(store=self.store, refuse=lambda row: row["n"] in self.refused)
        return stack.enter_async_context(sink.open(SinkIdentity("books", "journal")))

    def prepare(self, messages: Sequence[Message]) -> list[Item]:
        return Preparer(self.plan(), CODEC.decoder).prepare(messages)

    async def step(
        self, live: int = 1000, again: int = 1000, *, arrange: Callable[[list[Message]], list[Message]] = list
    ) -> Settlement:
        """A new worker takes over, delivers one batch of at most so many live and redriven records, and is gone."""
        async with AsyncExitStack() as stack:
            target: Target = await self.target(stack)
            claims = {claim.partition: claim for claim in await target.take_over([LIVE, AGAIN])}
            await self.ship(target)
            sizes = {LIVE: live, AGAIN: again}
            messages: list[Message] = []
            for partition, claim in claims.items():
                start = claim.next_offset or 0
                messages += self.topics.read(partition.topic, start, start + sizes[partition])
            items = self.prepare(arrange(messages))
            ends = {item.partition: item.offset + 1 for item in items}
            parked = await target.parked([TOPIC])
            settlement = await Placement(self.plan(), target).place(items, claims, ends, parked)
            await self.ship(target)
            return settlement

    async def ship(self, target: Target) -> None:
        for partition in (LIVE, AGAIN):
            letters = await target.letters(partition, -1)
            letters = sorted(letters, key=lambda letter: letter.offset)
            self.topics.append(Record(letter.topic, letter.key, letter.value, letter.headers) for letter in letters)
            await target.forget_letters(partition, 1_000_000)

    def redrive(self, letters: Sequence[Letter], redrive_id: str = "r1") -> None:
        self.topics.append(redriven_record(letter, REDRIVE, redrive_id, {REDRIVE: 1}) for letter in letters)

    def drop(self, letters: Sequence[Letter], *, who: str = "ann", because: str = "a test") -> None:
        """Asks the sink to give these up."""
        self.topics.append(
            dropped_record(letter, REDRIVE, "d1", {REDRIVE: 1}, who=who, because=because) for letter in letters
        )

    def edit(self, letter: Letter, n: int) -> None:
        """A new version of the letter, which says another number."""
        value = ENCODER.encode({"n": n, "text": ""}) or b""
        self.topics.append([edited_record(letter, value, "ann")])

    def box(self) -> LetterBox:
        """The dead letters, with how far their topic was read."""
        end = {Partition(DLQ, 0): len(self.topics.read(DLQ))}
        return replace(project(DLQ, self.topics.read(DLQ), self.statuses()), end=end)

    def letters(self) -> tuple[Letter, ...]:
        return self.box().letters

    def statuses(self) -> Mapping[Any, LetterStatus]:
        return {identity_of(s): s for m in self.topics.read(STATUSES) for s in [read_status(m.value() or b"")]}

    def waiting(self) -> list[str]:
        return [parked.event_id for line in self.store.contents.parked.values() for parked in line]

    def dropped(self) -> set[str]:
        """The events that operators have given up, as the sink says."""
        return {status.event_id for status in self.statuses().values() if status.state == DROPPED}

    def delivered(self) -> list[int]:
        return [row["n"] for row in self.store.rows]

    def _map(self, event: Event) -> Sequence[Row]:
        if event.data["n"] in self.unmapped:
            raise Rejected("the mapping does not take it")
        return as_row(event)
