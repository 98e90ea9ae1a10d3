"""One stream in its own process: prepares what it needs, hosts it on the engine, says how it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, TypeVar

from mainstem.codec.avro import Codec
from mainstem.codec.registry import Registry
from mainstem.errors import KAFKA_UNREACHABLE, TOPIC_MISSING, MainstemError, Misconfigured, Retryable, Unreachable
from mainstem.flow.letter_status import TOPIC as LETTERS
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.topics import Admin
from mainstem.process.duplicates import Duplicates, topic_tail
from mainstem.process.engine import Engine, EngineSettings, Hooks
from mainstem.process.observed import StreamObserver
from mainstem.process.outputs import Outputs
from mainstem.process.reference import Feed, tables_of
from mainstem.process.report import StreamReport
from mainstem.process.runner import StreamRunner
from mainstem.project import names
from mainstem.project.connection import KafkaSettings
from mainstem.project.discover import find_stream
from mainstem.project.load import load
from mainstem.project.model import Project
from mainstem.sdk.stream import Stream

PULSE_S = 0.5
PROBE_S = 2.0
"""Between two looks at what a person has to set up first."""
PATIENCE = RetryPolicy(first_s=0.2, max_s=5.0)
SILENT = {"log_level": "0"}
"""The client library would write broken connections to stderr in a form of its own, between the lines of JSON."""
UNCONFIRMED_S = 2.0
UNCONFIRMED = "Kafka does not confirm what was written"

T = TypeVar("T")


class StoppedEarly(Exception):
    """Asked to stop before it ran."""


class Worker:
    """Hosts the stream of that name until `stop`. Usable once."""

    def __init__(
        self,
        folder: Path,
        name: str,
        member: str,
        *,
        report: StreamReport,
        stop: asyncio.Event,
        ends: Callable[[str], NoReturn],
    ) -> None:
        """`ends` is called, in any thread, where the process may not go on, and ends it."""
        self._folder = folder
        self._name = name
        self._member = member
        self._report = report
        self._stop = stop
        self._ends = ends

    async def run(self) -> None:
        """Raises Misconfigured for a project or stream that is not right, EngineFailed when a new process is needed."""
        project = load(self._folder)
        with suppress(StoppedEarly):
            await self._host(project)

    async def _host(self, project: Project) -> None:
        stream = find_stream(project, self._name)
        config = {**project.kafka.client_properties(), **SILENT}
        codec = _codec_of(project)
        topics = {stream.reads, stream.writes, *stream.tables.values(), names.stream_dead_letters(stream.name), LETTERS}
        await self._patiently(lambda: _check_topics(config, topics))
        outputs = Outputs(stream, await self._patiently(lambda: codec.encoder(stream.writes)))
        tables, feeding = tables_of(stream.tables, codec.decoder)
        feed = Feed(config, stream.name, feeding)
        await self._patiently(feed.load)
        duplicates = Duplicates(topic_tail(config))
        runner = StreamRunner(
            stream,
            tables=tables,
            decoder=codec.decoder(stream.reads),
            outputs=outputs,
            duplicates=duplicates,
            report=self._report,
        )
        hooks = Hooks(duplicates.reassigned, self._report.progress, StreamObserver(stream.name), self._ends)
        with feed, TemporaryDirectory(prefix="mainstem-") as scratch:
            await self._run(Engine(self._settings(project.kafka, stream, Path(scratch)), runner.step, hooks))

    def _settings(self, kafka: KafkaSettings, stream: Stream, scratch: Path) -> EngineSettings:
        return EngineSettings(
            names.stream_group(stream.name),
            stream.reads,
            {**kafka.client_properties(), **SILENT},
            scratch,
            self._member,
            session_timeout_s=kafka.session_timeout_s,
        )

    async def _run(self, engine: Engine) -> None:
        pulse = asyncio.create_task(self._pulse(engine))
        try:
            await engine.run(self._stop)
        finally:
            pulse.cancel()

    async def _pulse(self, engine: Engine) -> None:
        """A stream without anything to do is as good as one that works."""
        while True:
            await asyncio.sleep(PULSE_S)
            if engine.unconfirmed_s > UNCONFIRMED_S:
                self._report.waits(Unreachable(UNCONFIRMED, code=KAFKA_UNREACHABLE))
            elif engine.is_idle:
                self._report.progress()

    async def _patiently(self, prepare: Callable[[], T]) -> T:
        """Calls it, in a thread, until it succeeds; says what it waits for."""
        failures = 0
        while not self._stop.is_set():
            try:
                return await asyncio.to_thread(prepare)
            except Retryable as error:
                failures += 1
                self._report.waits(error)
                await self._sleep(PATIENCE.pause(failures, wish_s=error.after_s))
            except MainstemError as error:
                self._report.pauses(error)
                await self._sleep(PROBE_S)
        raise StoppedEarly

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()


def _codec_of(project: Project) -> Codec:
    settings = project.registry
    password = settings.password.reveal() if settings.password else None
    registry = Registry(settings.url, user=settings.username, password=password)
    return Codec(registry, {topic: schema.definition for topic, schema in project.schemas.items()})


def _check_topics(config: Mapping[str, Any], topics: set[str]) -> None:
    missing = sorted(topics - Admin(config).topics().keys())
    if missing:
        raise Misconfigured(f"there is no topic {', '.join(missing)}", code=TOPIC_MISSING)
