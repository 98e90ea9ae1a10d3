"""The way in for everything that is pushed: webhooks, and events published over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack

from mainstem.app.services import Services
from mainstem.errors import TOPIC_MISSING, Misconfigured
from mainstem.ingest.intake import Intake
from mainstem.ingest.once import Once
from mainstem.ingest.push import PushIngest
from mainstem.ingest.tail import tail_ids
from mainstem.ingest.watch import Watch
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.producer import DurableProducer
from mainstem.observe.board import State
from mainstem.project.model import SourceSpec
from mainstem.sdk.source import PushSource

PART = "publish"


class Edge:
    """Opens what the two mappings name, which the gateway looks into, when it runs, and closes it when it stops."""

    def __init__(self, services: Services, pushed: Sequence[tuple[SourceSpec, PushSource]]) -> None:
        self.sources: MutableMapping[tuple[str, str], PushIngest | None] = {}
        """Push sources by integration and name; None while it is not open."""
        self.topics: MutableMapping[str, Intake | None] = {}
        """Every topic that the project has a schema for; None while it is not open."""
        self._services = services
        self._pushed = pushed
        self._close()

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`. Raises what keeps it from starting: Unreachable, Misconfigured."""
        async with DurableProducer(self._services.config) as producer, AsyncExitStack() as stack:
            stack.callback(self._close)
            topics = self._services.codec.topics()
            made = await asyncio.gather(*(self._intake(topic, producer) for topic in topics))
            intakes = dict(zip(topics, made, strict=True))
            self.topics.update(intakes)
            for spec, source in self._pushed:
                name = f"{spec.integration}.{spec.name}"
                watch = await stack.enter_async_context(
                    Watch(self._services.board, name, self._topic_probe(spec.topic))
                )
                ingest = PushIngest(spec.integration, spec.name, source, intakes[spec.topic], watch)
                self.sources[spec.integration, spec.name] = ingest
            self._services.board.report(PART, State.RUNNING)
            await stop.wait()

    async def _intake(self, topic: str, producer: DurableProducer) -> Intake:
        codec = self._services.codec
        encoder = await asyncio.to_thread(codec.encoder, topic)
        window = self._services.project.gateway.dedupe_events
        known = await asyncio.to_thread(tail_ids, self._services.config, topic, window)
        return Intake(EventWriter(encoder, codec.coercer(topic)), producer, Once(window, known))

    def _topic_probe(self, topic: str) -> Callable[[], Awaitable[None]]:
        async def probe() -> None:
            if topic not in await asyncio.to_thread(self._services.admin.topics):
                raise Misconfigured(f"there is no topic {topic}", code=TOPIC_MISSING)

        return probe

    def _close(self) -> None:
        self.sources.update({(spec.integration, spec.name): None for spec, _ in self._pushed})
        self.topics.update(dict.fromkeys(self._services.codec.topics()))
