"""A stream around a function, without Kafka: real Avro, a registry with one schema, a clock that does not wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import pytest

from mainstem import Data, Event, Partition, Stream, stream
from mainstem.codec.avro import Decoder, Encoder
from mainstem.codec.headers import write_headers
from mainstem.codec.message import Message
from mainstem.codec.registry import Definition, Registry
from mainstem.errors import Unreachable
from mainstem.kafka.record import Record
from mainstem.observe.board import Board, Status
from mainstem.process.duplicates import Duplicates
from mainstem.process.outputs import Outputs
from mainstem.process.report import StreamReport
from mainstem.process.runner import Patience, StreamRunner
from mainstem.testing.raw_message import RawMessage

READS, WRITES = "till.order.v1", "till.total.v1"
SCHEMA_ID = 7
DEFINITION: Definition = {
    "type": "record",
    "name": "order",
    "fields": [{"name": "n", "type": "int"}, {"name": "text", "type": "string", "default": ""}],
}


class OneSchema:
    """A registry with one schema; the first `down` look-ups find it unreachable."""

    def __init__(self, down: int = 0) -> None:
        self.down = down

    def has(self, _subject: str, schema_id: int) -> bool:
        if self.down:
            self.down -= 1
            raise Unreachable("the registry does not answer")
        return schema_id == SCHEMA_ID

    def definition(self, _schema_id: int) -> Definition:
        return DEFINITION


def decoder(registry: OneSchema | None = None) -> Decoder:
    return Decoder(READS, cast(Registry, registry or OneSchema()), DEFINITION)


def encoder() -> Encoder:
    return Encoder(WRITES, DEFINITION, SCHEMA_ID)


def no_tail(_ranges: Mapping[Partition, tuple[int, int]]) -> Iterable[Sequence[Message]]:
    return ()


@dataclass
class Hosted:
    """A runner, what it said, and for how long it would have slept."""

    runner: StreamRunner
    board: Board
    report: StreamReport
    slept: list[float] = field(default_factory=list)
    asleep: Callable[[], None] = lambda: None

    @property
    def status(self) -> Status:
        return self.board.parts()["total"]

    async def step(self, messages: Sequence[RawMessage]) -> list[Record]:
        """What a batch becomes, when it is committed."""
        made = await self.runner.step(messages)
        made.committed()
        return list(made.records)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.asleep()


@pytest.fixture
def host() -> Callable[..., Hosted]:
    def make(function: Any, *, registry: OneSchema | None = None, tables: Mapping[str, Any] | None = None) -> Hosted:
        function.__name__ = "total"
        made: Stream = stream(reads=READS, writes=WRITES, tables=dict.fromkeys(tables or {}, "till.table.v1"))(function)
        board = Board()
        report = StreamReport("total", board)

        async def sleep(seconds: float) -> None:
            await hosted.sleep(seconds)

        runner = StreamRunner(
            made,
            tables=tables or {},
            decoder=decoder(registry),
            outputs=Outputs(made, encoder()),
            duplicates=Duplicates(no_tail),
            report=report,
            patience=Patience(sleep=sleep),
        )
        hosted = Hosted(runner, board, report)
        return hosted

    return make


_offsets = count()


def message(*, data: Data | None = None, **attributes: Any) -> RawMessage:
    """One consumed record of the input topic, at the next offset."""
    event = Event(**{"id": "e1", "key": "k", "type": "till.order", "source": "/till", **attributes})
    value = Encoder(READS, DEFINITION, SCHEMA_ID).encode({"n": 1} if data is None else data)
    key = None if event.key is None else event.key.encode()
    return RawMessage(READS, 0, next(_offsets), key, value, write_headers(event))


def raw(value: bytes | None, *, event_id: str = "bad") -> RawMessage:
    """One record with this very value."""
    headers = write_headers(Event(id=event_id, type="till.order", source="/till"))
    return RawMessage(READS, 0, next(_offsets), b"k", value, headers)


def values(records: Sequence[Record]) -> list[Data]:
    return [Decoder(WRITES, cast(Registry, OneSchema()), DEFINITION).decode(r.value or b"") for r in records]
