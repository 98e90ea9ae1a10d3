"""Reads changelogs into stores, up to their high watermarks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types import TP

from mainstem.process.librdkafka.clients import reader_settings
from mainstem.process.librdkafka.fetching import Message
from mainstem.process.librdkafka.options import EngineOptions

ASK_S = 30.0
BATCH = 10_000
WAIT_S = 0.1


class Part(Protocol):
    """One partition of a table."""

    offset: int | None
    """The last changelog offset in it."""

    def load(self, items: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Takes these in, the last of which stands at that offset."""


def restore(
    bootstrap: str, group: str, options: EngineOptions, plan: Mapping[TP, Part], abandoned: threading.Event
) -> int:
    """How many records were read. Blocks until each part is whole, or it is abandoned.

    The end is the real high watermark, not the last stable offset, which a read_committed client calls its watermark:
    while a dead worker's transaction is open, committed changelog records of its successor may stand above that
    (KAFKA-10167). A read_committed reader then waits until that transaction is decided.
    """
    ends = _ends(Consumer(reader_settings(bootstrap, group, "read_uncommitted", options)), plan)
    places, open_ends = [], {}
    for tp, part in plan.items():
        low, high = ends[tp]
        if part.offset is not None and part.offset >= high:
            raise ValueError(f"{tp.topic}/{tp.partition} ends at {high}, and the store has {part.offset}")
        start = low if part.offset is None else max(low, part.offset + 1)
        if start < high:
            open_ends[tp] = high
            places.append(TopicPartition(*tp, start))
    if not places:
        return 0
    client = Consumer(reader_settings(bootstrap, group, "read_committed", options))
    try:
        client.assign(places)
        return _read(client, plan, open_ends, abandoned)
    finally:
        client.close()


def _ends(client: Consumer, tps: Iterable[TP]) -> dict[TP, tuple[int, int]]:
    try:
        return {tp: client.get_watermark_offsets(TopicPartition(*tp), timeout=ASK_S) for tp in tps}
    finally:
        client.close()


def _read(client: Consumer, plan: Mapping[TP, Part], ends: dict[TP, int], abandoned: threading.Event) -> int:
    count = 0
    while ends and not abandoned.is_set():
        batches: dict[TP, list[Message]] = {}
        messages: list[Message] = client.consume(BATCH, WAIT_S)
        for message in messages:
            tp = TP(message.topic(), message.partition())
            error: Any = message.error()
            if error is None:
                batches.setdefault(tp, []).append(message)
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            elif message.offset() >= ends.get(tp, 0):  # what is left before it are markers
                ends.pop(tp, None)
        for tp, batch in batches.items():
            count += len(batch)
            last = batch[-1].offset()
            plan[tp].load(((message.key(), message.value()) for message in batch), last)
            if last + 1 >= ends.get(tp, 0):
                ends.pop(tp, None)
    return count
