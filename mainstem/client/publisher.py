"""Publishes events from any Python service, as the backbone's own sources do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Self

from mainstem.codec.avro import Encoder
from mainstem.codec.coerce import Coercer
from mainstem.codec.guard import check_safe
from mainstem.codec.headers import write_headers
from mainstem.codec.registry import Registry, value_subject
from mainstem.event import Data, Event
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.record import Record
from mainstem.project.names import event_type


class Publisher:
    """Publishes to topics whose schema is registered. Use as an async context manager.

        async with Publisher("localhost:9092", registry="http://localhost:8081", source="orders") as publisher:
            await publisher.publish("orders.order_placed.v1", {"order_id": "7", "total": "12.50"}, key="7")

    Data may hold Python's types (Decimal, datetime) or JSON's; it is validated against the newest registered schema.
    """

    def __init__(
        self, bootstrap: str, *, registry: str | Registry, source: str, config: Mapping[str, Any] | None = None
    ) -> None:
        """`source` names the publisher (`ce_source`); `config` has further properties of the Kafka client.

        Where the registry wants a login, give `Registry(url, user=..., password=...)` instead of its address.
        """
        self._producer = DurableProducer({"bootstrap.servers": bootstrap, **(config or {})})
        self._registry = Registry(registry) if isinstance(registry, str) else registry
        self._source = source
        self._topics: dict[str, tuple[Encoder, Coercer]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self._registry)
        await self._stack.enter_async_context(self._producer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def publish(
        self, topic: str, data: Data, *, key: str | None = None, id: str | None = None, time: datetime | None = None
    ) -> str:
        """Publishes one event and returns its id when it is durable. For many, use `publish_all`.

        Give the `id` where the fact has one, so that publishing it again is recognised. Raises as `publish_all` does.
        """
        event = Event(id=id or str(uuid.uuid4()), data=data, key=key, time=time)
        await self.publish_all(topic, [event])
        return event.id

    async def publish_all(self, topic: str, events: Sequence[Event]) -> None:
        """Returns when all events are durable. None is published when one does not fit the schema.

        Raises Rejected (MS-104, with the fields), Unreachable (some may become durable later), Misconfigured (no such
        topic, no schema under its subject).
        """
        encoder, coercer = await self._topic(topic)
        now = datetime.now(UTC)
        records = []
        for event in events:
            payload = event.payload
            value = None if payload is None else encoder.encode(coercer.coerce(payload))
            sent = event.replace(
                type=event_type(topic),
                source=event.source or self._source,
                time=event.time or now,
                ingested_at=event.ingested_at or now,
            )
            key = None if event.key is None else event.key.encode()
            records.append(Record(topic, key, value, write_headers(sent)))
        await self._producer.send(records)

    async def _topic(self, topic: str) -> tuple[Encoder, Coercer]:
        if topic not in self._topics:
            schema_id, definition = await asyncio.to_thread(self._registry.latest, value_subject(topic))
            check_safe(definition, topic)
            self._topics[topic] = (Encoder(topic, definition, schema_id), Coercer(definition))
        return self._topics[topic]
