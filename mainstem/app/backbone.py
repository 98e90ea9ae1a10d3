"""A running backbone: the sources, streams and sinks of a project, each kept running for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from functools import partial
from typing import Any

from mainstem.app.edge import PART as EDGE
from mainstem.app.edge import Edge
from mainstem.app.kafka_watch import PART as KAFKA
from mainstem.app.kafka_watch import watch_kafka
from mainstem.app.keep import keep_running
from mainstem.app.lag import LagSampler
from mainstem.app.services import Services
from mainstem.app.sinks import run_sink
from mainstem.app.sources import Pulled, Sources
from mainstem.observe import metrics
from mainstem.observe.board import State
from mainstem.process.supervisor import StreamSupervisor
from mainstem.project import names
from mainstem.project.discover import build_sink, build_source, find_mapping, find_stream
from mainstem.project.model import Integration, SourceSpec
from mainstem.sdk.source import PushSource, Source


class Kind(StrEnum):
    """What a process may be told to host only."""

    SOURCES = "sources"
    STREAMS = "streams"
    SINKS = "sinks"


class Backbone:
    """Hosts the parts of these integrations. Building it runs the connectors' settings: it raises ProjectError.

    `edge` has what the gateway serves. One part's failure is its own: it is on the board, and tried again.
    """

    def __init__(
        self,
        services: Services,
        integrations: Collection[Integration],
        kinds: Collection[Kind] = tuple(Kind),
        *,
        workers: int = 1,
    ) -> None:
        """`workers` is how many processes each stream gets here."""
        self.services = services
        sources = [source for made in integrations for source in made.sources if Kind.SOURCES in kinds]
        built = [(spec, build_source(services.project, spec)) for spec in sources]
        self._pulled = [Pulled(spec, source) for spec, source in built if isinstance(source, Source)]
        self.edge = Edge(services, [(spec, source) for spec, source in built if isinstance(source, PushSource)])
        self._sinks = [sink for made in integrations for sink in made.sinks if Kind.SINKS in kinds]
        for sink in self._sinks:  # each is built again when it runs: what is wrong with one is said now
            build_sink(services.project, sink)
            find_mapping(services.project, sink)
        streams = dict.fromkeys(name for made in integrations for name in made.streams if Kind.STREAMS in kinds)
        self.streams = {name: self._workers(name, workers) for name in streams}
        groups = {names.stream_group(name): [find_stream(services.project, name).reads] for name in streams}
        groups |= {sink.group: [*sink.topics, sink.redrive] for sink in self._sinks}
        self.lag = LagSampler(services.config, groups)
        self._serves = Kind.SOURCES in kinds
        for made in integrations:
            if made.promise:
                metrics.promise.labels(made.name).set(made.promise.arrives_within_s)
        for part in self._parts(spec for spec, _ in built):
            services.board.report(part, State.STARTING)  # what has said nothing yet is not ready

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`, then drains: every part finishes what it has and leaves."""
        async with asyncio.TaskGroup() as group:
            if self._serves:
                group.create_task(self._keep(EDGE, self.edge.run, stop))
            for sources in self._shared():
                group.create_task(sources.run(stop))
            for name, supervisors in self.streams.items():
                for supervisor in supervisors:
                    group.create_task(self._stream(name, supervisor, stop))
            for sink in self._sinks:
                group.create_task(
                    self._keep(f"{sink.integration}.{sink.name}", partial(run_sink, self.services, sink), stop)
                )
            group.create_task(self.lag.run(stop))
            group.create_task(watch_kafka(self.services.admin, self.services.board, stop))

    async def sources_read(self) -> None:
        """Waits until every pulled source has been read to its end for the first time, or is another process's."""
        for pulled in self._pulled:
            await pulled.first_pass.wait()

    def figures(self) -> dict[str, Any]:
        """What the live views show besides the parts' states."""
        latencies = self.services.latencies
        return {
            "lag": self.lag.lag,
            "p50_ms": _milliseconds(latencies.quantile(0.50)),
            "p99_ms": _milliseconds(latencies.quantile(0.99)),
        }

    def _workers(self, stream: str, count: int) -> list[StreamSupervisor]:
        """They share the partitions through the stream's consumer group, as those of other machines do."""
        parts = [stream, *(f"{stream}/{number}" for number in range(2, count + 1))]
        folder, board = self.services.project.folder, self.services.board
        return [StreamSupervisor(folder, stream, board, part=part) for part in parts]

    def _parts(self, sources: Iterable[SourceSpec]) -> Iterator[str]:
        """Those that report themselves only when they have come so far; a stream's supervisor does at once."""
        yield KAFKA
        if self._serves:
            yield EDGE
        for spec in (*sources, *self._sinks):
            yield f"{spec.integration}.{spec.name}"

    def _shared(self) -> Iterator[Sources]:
        """The pulled sources, by integration: each has a group of its own."""
        for integration in dict.fromkeys(pulled.spec.integration for pulled in self._pulled):
            its = [pulled for pulled in self._pulled if pulled.spec.integration == integration]
            yield Sources(self.services, integration, its)

    async def _stream(self, name: str, supervisor: StreamSupervisor, stop: asyncio.Event) -> None:
        """Starts a stream when the reference data that this process itself brings in is complete for the first time:
        a table is loaded to its end before the first event, and until then that end is not there yet."""
        tables = set(find_stream(self.services.project, name).tables.values())
        stopped = asyncio.create_task(stop.wait())
        for pulled in [pulled for pulled in self._pulled if pulled.spec.topic in tables]:
            first = asyncio.create_task(pulled.first_pass.wait())
            await asyncio.wait([first, stopped], return_when=asyncio.FIRST_COMPLETED)
            first.cancel()
        stopped.cancel()
        await supervisor.run(stop)

    async def _keep(self, part: str, run: Any, stop: asyncio.Event) -> None:
        await keep_running(part, lambda: run(stop), self.services.board, stop)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
