from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mainstem import Event, Partition
from mainstem.codec.headers import write_headers
from mainstem.codec.message import Message, ReceivedEvent, read_event
from mainstem.process.duplicates import Duplicates
from mainstem.testing.raw_message import RawMessage
from tests.unit.process.conftest import decoder

P0 = Partition("t.t.v1", 0)


def at(offset: int, event_id: str, partition: int = 0) -> RawMessage:
    return RawMessage(P0.topic, partition, offset, None, b"", write_headers(Event(id=event_id)))


class Log:
    """A topic, and what was asked of it."""

    def __init__(self, *messages: RawMessage) -> None:
        self.messages = messages
        self.asked: list[Mapping[Partition, tuple[int, int]]] = []

    def __call__(self, ranges: Mapping[Partition, tuple[int, int]]) -> Iterable[Sequence[Message]]:
        self.asked.append(dict(ranges))

        def is_asked_for(message: RawMessage) -> bool:
            start, end = ranges.get(Partition(message.topic(), message.partition()), (0, 0))
            return start <= message.offset() < end

        yield [message for message in self.messages if is_asked_for(message)]


def read(*messages: RawMessage) -> list[ReceivedEvent]:
    return [read_event(message, decoder()) for message in messages]


async def test_an_event_that_stands_before_the_committed_offset_is_found() -> None:
    log = Log(at(0, "a"), at(1, "b"))
    assert await Duplicates(log).among(read(at(2, "b"), at(3, "c"))) == [True, False]
    assert log.asked == [{P0: (0, 2)}]


async def test_the_tail_is_read_once_and_no_longer_than_the_window() -> None:
    log = Log()
    duplicates = Duplicates(log, capacity=10)
    await duplicates.among(read(at(100, "a")))
    await duplicates.among(read(at(101, "b")))
    assert log.asked == [{P0: (90, 100)}]


async def test_after_a_reassignment_only_what_others_did_meanwhile_is_read() -> None:
    log = Log(at(1, "theirs"))
    duplicates = Duplicates(log)
    await duplicates.among(read(at(0, "ours")))
    duplicates.reassigned()
    assert await duplicates.among(read(at(2, "theirs"), at(3, "ours"))) == [True, True]
    assert log.asked == [{P0: (1, 2)}]


async def test_records_read_again_are_not_their_own_duplicates() -> None:
    duplicates = Duplicates(Log())
    await duplicates.among(read(at(0, "a"), at(1, "b")))
    duplicates.reassigned()
    assert await duplicates.among(read(at(0, "a"), at(1, "b"))) == [False, False]


async def test_partitions_do_not_know_of_each_other() -> None:
    assert await Duplicates(Log()).among(read(at(0, "a"), at(0, "a", partition=1))) == [False, False]


async def test_records_without_an_id_are_never_duplicates() -> None:
    bare = [RawMessage(P0.topic, 0, offset, None, b"") for offset in range(2)]
    assert await Duplicates(Log()).among(read(*bare)) == [False, False]
