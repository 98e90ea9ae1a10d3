"""A shop of each test's own: a topic of origin, a sink's dead letters and redrive topic, on the shared stack."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from time import monotonic, sleep
from typing import Any

import pytest

from mainstem.codec import headers as h
from mainstem.codec.message import Message
from mainstem.devstack import Stack
from mainstem.errors import TARGET_REFUSES, Rejected, Unreachable
from mainstem.flow.dead_letter import Failure, dead_letter, first_origin
from mainstem.flow.letter_status import TOPIC as LETTERS
from mainstem.flow.letter_status import WAITING, read_occasion, status_record
from mainstem.kafka.positions import POSITIONS
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.recover.redrive import TOPIC as REDRIVES
from mainstem.recover.replay import TOPIC as REPLAYS
from mainstem.recover.wishes import TOPIC as JOBS

PARTITIONS = 3


@dataclass(frozen=True)
class Shop:
    """One sink's topics, and ways to write and read them."""

    config: Mapping[str, Any]
    admin: Admin
    part: str
    topic: str

    @property
    def dlq(self) -> str:
        return f"{self.part}.dlq"

    @property
    def redrive(self) -> str:
        return f"{self.part}.redrive"

    def publish(self, events: Sequence[tuple[str, str]], value: bytes = b"v", **headers: bytes) -> list[Message]:
        """Publishes events, key and id; gives all records of the topic, by partition and offset."""
        records = [
            Record(self.topic, key.encode(), value, [(h.ID, name.encode()), *headers.items()]) for key, name in events
        ]
        self.send(records)
        return self.read(self.topic)

    def refuse(self, *messages: Message, cause: str = "account 17 is closed") -> None:
        """What a sink's worker does with records that the target refuses."""
        failure = Failure(Rejected(cause, code=TARGET_REFUSES), self.part, "write")
        letters = [dead_letter(message, failure, self.dlq) for message in messages]
        self.send([*letters, *(self.status_of(message, WAITING) for message in messages)])

    def status_of(self, message: Message, state: str) -> Record:
        event_id = h.as_dict(message.headers())[h.ID].decode()
        scope, occasion = message.key(), read_occasion(message.headers())
        return status_record(self.dlq, event_id, state, origin=first_origin(message), scope=scope, occasion=occasion)

    def send(self, records: Sequence[Record]) -> None:
        async def sending() -> None:
            async with DurableProducer(self.config) as producer:
                await producer.send(records)

        asyncio.run(sending())

    def read(self, topic: str) -> list[Message]:
        """Committed records, in order of partition and offset."""
        with reading(self.config) as reader:
            found: list[Message] = [message for batch in reader.read(reader.whole([topic])) for message in batch]
        return sorted(found, key=lambda message: (message.partition() or 0, message.offset() or 0))


def ids(messages: Sequence[Message]) -> list[str]:
    return [h.as_dict(message.headers())[h.ID].decode() for message in messages]


def wait_until_led(config: Mapping[str, Any], topics: Sequence[str]) -> None:
    """A topic that has just been made has no leader for a moment."""
    deadline = monotonic() + 30
    with reading(config) as reader:
        while True:
            try:
                reader.whole(topics)
            except Unreachable:
                assert monotonic() < deadline
                sleep(0.05)
            else:
                return


@pytest.fixture
def shop(stack: Stack) -> Iterator[Shop]:
    config = {"bootstrap.servers": stack.bootstrap, "log_level": 0}
    name = f"shop{token_hex(4)}"
    admin = Admin(config)
    made = Shop(config, admin, f"{name}.journal", f"{name}.sold.v1")
    own = [made.topic, made.dlq, made.redrive]
    compacted = {"cleanup.policy": "compact"}
    internal = [TopicSpec(topic, 1, config=compacted) for topic in (LETTERS, REPLAYS, REDRIVES, POSITIONS, JOBS)]
    admin.create([*(TopicSpec(topic, PARTITIONS) for topic in own), *internal])
    wait_until_led(config, [*own, *(spec.name for spec in internal)])
    yield made
    admin.delete(own)
