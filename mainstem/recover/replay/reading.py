"""What a replay reads: its ranges batch by batch, and of each batch what is chosen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from mainstem.codec.message import Message, origin_of
from mainstem.errors import OFFSETS_GONE, Refused
from mainstem.event import Partition
from mainstem.kafka.reader import Ranges, reading


class Bounded(Protocol):
    """Tells where a partition begins and ends; a Reader does."""

    def bounds(self, partition: Partition) -> tuple[int, int]: ...


@dataclass
class Piece:
    """Records that are settled together: those that are chosen, in order, and the others between and after them."""

    chosen: list[Message] = field(default_factory=list)
    left_out: int = 0
    reached: dict[Partition, int] = field(default_factory=dict)
    """The next offsets after all of them."""


def pieces(messages: Sequence[Message], chosen: Sequence[bool], size: int) -> Iterator[Piece]:
    """The batch in pieces with at most `size` chosen records each, so that a rate counts what is delivered."""
    piece = Piece()
    for message, is_chosen in zip(messages, chosen, strict=True):
        if is_chosen and len(piece.chosen) == size:
            yield piece
            piece = Piece()
        if is_chosen:
            piece.chosen.append(message)
        else:
            piece.left_out += 1
        topic, number, offset = origin_of(message)
        piece.reached[Partition(topic, number)] = offset + 1
    yield piece


async def batches(config: Mapping[str, Any], left: Ranges, size: int) -> AsyncGenerator[list[Message], None]:
    """What is left, batch by batch. Raises Refused when retention takes records away before they are read."""
    loop = asyncio.get_running_loop()
    expected = {partition: start for partition, (start, _) in left.items()}
    with (
        reading(config) as reader,
        reading(config) as watcher,  # the reader's own connection answers only when its fetch has ended
        ThreadPoolExecutor(1, thread_name_prefix="replay") as thread,
    ):
        source = reader.read(left, batch=size)
        while (messages := await loop.run_in_executor(thread, next, source, None)) is not None:
            await loop.run_in_executor(thread, check_gaps, watcher, messages, expected)
            yield list(messages)


def check_gaps(watcher: Bounded, messages: Sequence[Message], expected: dict[Partition, int]) -> None:
    """A gap between offsets is a transaction's marker, compaction, or records that retention has just deleted: in the
    last case the partition begins behind it. An offset that comes again is another record: the topic was made anew.
    """
    gaps: dict[Partition, int] = {}
    for message in messages:
        topic, number, offset = origin_of(message)
        partition = Partition(topic, number)
        if offset > expected[partition]:
            gaps.setdefault(partition, expected[partition])
        elif offset < expected[partition]:
            raise Refused(f"{topic}:{number} was made anew while it was replayed", code=OFFSETS_GONE)
        expected[partition] = offset + 1
    for partition, first in gaps.items():
        low, _ = watcher.bounds(partition)
        if low > first:
            gone = f"{first} to {low - 1}"
            name = f"{partition.topic}:{partition.number}"
            raise Refused(f"{name} lost offsets {gone} while it was replayed", code=OFFSETS_GONE)
