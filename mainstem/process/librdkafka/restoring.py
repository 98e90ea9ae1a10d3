"""Reads changelogs into parts of tables, up to their high watermarks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types import TP

from mainstem.process.librdkafka.clients import reader_settings
from mainstem.process.librdkafka.committed import Change, Position
from mainstem.process.librdkafka.fetching import Message
from mainstem.process.librdkafka.options import EngineOptions
from mainstem.process.librdkafka.patience import bounds, patiently
from mainstem.process.librdkafka.topics import Topics

BATCH = 2_000
AHEAD_KIB = 16_384
"""What the library may have fetched ahead of us: with a batch and the records of a fetch, all that a restore holds."""
WAIT_S = 0.1
TOLD_EVERY_S = 2.0
STALE_S = 12 * 3600.0
"""Kafka drops the mark of a deleted key after `delete.retention.ms`, a day if nobody has set it: what was not read
for longer than this may hold keys that are deleted, and is read anew."""

log = logging.getLogger(__name__)


class Part(Protocol):
    """One partition of a table."""

    @property
    def position(self) -> Position | None: ...
    def begin(self, topic: str, *, anew: bool) -> None:
        """It is to be read from the changelog of that id; anew, where what is in it is of no use."""

    def load(self, changes: Iterable[Change], offset: int) -> None:
        """Takes these in; everything up to that offset is in it then."""


@dataclass(frozen=True, slots=True)
class Readers:
    """What makes consumers that are in no group."""

    bootstrap: str
    name: str
    options: EngineOptions
    topics: Topics

    def consumer(self, isolation: str) -> Consumer:
        settings = reader_settings(self.bootstrap, self.name, isolation, self.options)
        return Consumer({"queued.max.messages.kbytes": AHEAD_KIB, **settings})


def start(position: Position | None, topic: str, held: tuple[int, int], now_s: float) -> int | None:
    """Where to read on, in a changelog of that id that holds these offsets; None if it is to be read anew: it is
    another topic, or lost its end, or some of what follows is gone, perhaps with the marks of deleted keys."""
    low, high = held
    if position is None or position.topic != topic or now_s - position.at_s > STALE_S:
        return None
    following = position.offset + 1
    return following if low <= following <= high else None


def starts(readers: Readers, plan: Mapping[TP, Part]) -> tuple[dict[TP, int], dict[TP, int]]:
    """Prepares the parts; gives where to begin with each, and its end: the real high watermark, not the last stable
    offset, which a read_committed client calls its watermark. While a dead worker's transaction is open, committed
    records of its successor may stand above that (KAFKA-10167); a read_committed reader then waits until it is decided.
    """
    ids = patiently(lambda: readers.topics.ids({tp.topic for tp in plan}))
    begins, ends = {}, {}
    client = readers.consumer("read_uncommitted")
    try:
        for tp, part in plan.items():
            low, high = bounds(client, tp)
            begin = start(part.position, ids[tp.topic], (low, high), time())
            if begin is None and part.position is not None:
                log.warning("%s/%d does not go on from %s: read anew", *tp, part.position)
            part.begin(ids[tp.topic], anew=begin is None)
            begins[tp], ends[tp] = low if begin is None else begin, high
    finally:
        client.close()
    return begins, ends


def restore(readers: Readers, plan: Mapping[TP, Part], abandoned: threading.Event) -> int:
    """How many records were read. Blocks until each part is whole, or it is abandoned."""
    begins, ends = starts(readers, plan)
    behind = {tp: end for tp, end in ends.items() if begins[tp] < end}
    for tp in plan.keys() - behind.keys():
        plan[tp].load((), ends[tp] - 1)
    if not behind:
        return 0
    client = readers.consumer("read_committed")
    try:
        client.assign([TopicPartition(*tp, begins[tp]) for tp in behind])
        return _read(client, plan, Progress(begins, behind), abandoned)
    finally:
        client.close()


class Progress:
    """How much is left, and a line of the log now and then."""

    def __init__(self, begins: Mapping[TP, int], ends: Mapping[TP, int]) -> None:
        self._reached = {tp: begins[tp] for tp in ends}
        self._left = dict(ends)
        self._parts = len(ends)
        self._all = sum(end - begins[tp] for tp, end in ends.items())
        self._begun = self._told = monotonic()

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return bool(self._left)

    def reached(self, tp: TP, following: int) -> None:
        """Everything before that offset is read."""
        end = self._left.get(tp)
        if end is None:
            return
        self._all -= min(following, end) - self._reached[tp]
        self._reached[tp] = min(following, end)
        if following >= end:
            del self._left[tp]

    def tell(self, count: int) -> None:
        now = monotonic()
        if now - self._told > TOLD_EVERY_S:
            self._told = now
            done = self._parts - len(self._left)
            text = "tables: %d changelog records read in %.0f s, %d offsets to go, %d of %d partitions whole"
            log.info(text, count, now - self._begun, self._all, done, self._parts)


def _read(client: Consumer, plan: Mapping[TP, Part], progress: Progress, abandoned: threading.Event) -> int:
    count = 0
    while progress and not abandoned.is_set():
        batches, reached = received(client)
        for tp, batch in batches.items():
            count += len(batch)
            last = batch[-1].offset()
            plan[tp].load(((message.key(), message.value()) for message in batch), last)
            progress.reached(tp, last + 1)
        for tp, offset in reached.items():  # what is left before it are markers
            plan[tp].load((), offset - 1)
            progress.reached(tp, offset)
        progress.tell(count)
    return count


def received(client: Consumer) -> tuple[dict[TP, list[Message]], dict[TP, int]]:
    """The next records by partition, and the partitions whose end was reached, with the offset of it. Raises
    KafkaException."""
    batches: dict[TP, list[Message]] = {}
    reached: dict[TP, int] = {}
    first: Message = client.poll(WAIT_S)
    messages: list[Message] = [] if first is None else [first, *client.consume(BATCH - 1, 0)]
    for message in messages:
        tp = TP(message.topic(), message.partition())
        error: Any = message.error()
        if error is None:
            batches.setdefault(tp, []).append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            reached[tp] = message.offset()
        else:
            raise KafkaException(error)
    return batches, reached
