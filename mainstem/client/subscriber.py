"""Reads canonical streams from any Python program: from a consumer group, from a time, or from offsets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from mainstem.client.columns import EventColumns, read_columns
from mainstem.codec.avro import Codec, Decoder
from mainstem.codec.columns import ColumnDecoder
from mainstem.codec.message import Message, origin_of, read_event
from mainstem.codec.registry import Registry, value_subject
from mainstem.event import Event, Partition
from mainstem.kafka.consumer import Assigned, Failed, Fetched, GroupConsumer, Revoked
from mainstem.kafka.reader import Ranges, Reader, reading

BATCH = 1000
COLUMNS_BATCH = 10_000


class Subscriber:
    """Hands out decoded events in batches, in order within a partition.

        async with Subscriber("localhost:9092", registry="http://localhost:8081") as subscriber:
            async for events in subscriber.follow(["payments.payment_settled.v1"], group="finance-dashboard"):
                ...

    An event whose bytes do not decode is handed out too; reading its `data` raises Rejected.
    """

    def __init__(self, bootstrap: str, *, registry: str | Registry, config: Mapping[str, Any] | None = None) -> None:
        """Where the registry wants a login, give `Registry(url, user=..., password=...)` instead of its address."""
        self._config = {"bootstrap.servers": bootstrap, **(config or {})}
        self._registry = Registry(registry) if isinstance(registry, str) else registry
        self._codec = Codec(self._registry, {})
        self._decoders: dict[str, Decoder] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._registry.close()

    async def follow(self, topics: Sequence[str], *, group: str, batch: int = BATCH) -> AsyncIterator[list[Event]]:
        """Follows topics as a member of a group, for ever; starts at the beginning where the group is new.

        A batch counts as read when the next one is asked for: after a crash it comes again (at least once).
        """
        consumer = GroupConsumer(self._config, group, topics, batch=batch)
        async with consumer:
            async for happening in consumer.happenings():
                match happening:
                    case Assigned(partitions):
                        await consumer.start(await consumer.positions(partitions))
                    case Fetched(messages, _, done):
                        yield await self._events(messages)
                        await consumer.commit(_ends(messages))
                        done()
                    case Revoked(_, _, left):
                        left()
                    case Failed(error):
                        raise error

    async def read(
        self,
        topic: str,
        *,
        since: datetime | None = None,
        offsets: Mapping[int, int] | None = None,
        batch: int = BATCH,
    ) -> AsyncIterator[list[Event]]:
        """Reads what is in the topic now, then ends: from a time (of publishing), from offsets by partition, or all.

        Belongs to no group and commits nothing.
        """
        with reading(self._config) as reader:
            ranges = await asyncio.to_thread(_ranges, reader, topic, since, offsets)
            batches = reader.read(ranges, batch=batch)
            while (messages := await asyncio.to_thread(_next, batches)) is not None:
                yield await self._events(messages)

    async def read_columns(
        self,
        topic: str,
        *,
        since: datetime | None = None,
        offsets: Mapping[int, int] | None = None,
        batch: int = COLUMNS_BATCH,
    ) -> AsyncIterator[EventColumns]:
        """As `read`, but as Arrow columns of the newest registered version of the topic's schema.

        Raises Misconfigured without the native codec, and for a schema whose values are no columns. Raises
        OverflowError where a column of a batch would pass 2 GiB: ask for a smaller `batch` then.
        """
        decoder = await asyncio.to_thread(self._column_decoder, topic)
        with reading(self._config) as reader:
            ranges = await asyncio.to_thread(_ranges, reader, topic, since, offsets)
            batches = reader.read(ranges, batch=batch)
            while (messages := await asyncio.to_thread(_next, batches)) is not None:
                yield await asyncio.to_thread(read_columns, messages, decoder)

    def _column_decoder(self, topic: str) -> ColumnDecoder:
        _, newest = self._registry.latest(value_subject(topic))
        return ColumnDecoder(topic, self._registry, newest)

    async def _events(self, messages: Sequence[Message]) -> list[Event]:
        return await asyncio.to_thread(self._decode, messages)

    def _decode(self, messages: Sequence[Message]) -> list[Event]:
        events: list[Event] = [read_event(message, self._decoder(origin_of(message).topic)) for message in messages]
        for event in events:
            event.preload()  # here, off the event loop: a schema that is new costs a request
        return events

    def _decoder(self, topic: str) -> Decoder:
        if topic not in self._decoders:
            self._decoders[topic] = self._codec.decoder(topic)
        return self._decoders[topic]


def _ranges(reader: Reader, topic: str, since: datetime | None, offsets: Mapping[int, int] | None) -> Ranges:
    whole = reader.whole([topic])
    if since is not None:
        starts = reader.since([topic], int(since.timestamp() * 1000))
        return {p: (max(starts[p], low), high) for p, (low, high) in whole.items()}
    if offsets is not None:
        return {p: (max(offsets[p.number], low), high) for p, (low, high) in whole.items() if p.number in offsets}
    return whole


def _next(batches: Iterator[Sequence[Message]]) -> Sequence[Message] | None:
    return next(batches, None)


def _ends(messages: Sequence[Message]) -> dict[Partition, int]:
    places = map(origin_of, messages)
    return {Partition(place.topic, place.partition): place.offset + 1 for place in places}
