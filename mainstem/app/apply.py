"""What a project needs to exist in Kafka and in the registry: shown first, then made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mainstem.app.services import Services
from mainstem.codec.guard import check_safe
from mainstem.errors import Misconfigured
from mainstem.flow.letter_status import TOPIC as LETTERS
from mainstem.ingest.tasks import PARTITIONS, TASKS
from mainstem.kafka.positions import POSITIONS
from mainstem.kafka.topics import TopicSpec
from mainstem.project import names
from mainstem.project.discover import find_stream
from mainstem.project.model import Project, SchemaFile
from mainstem.recover.redrive import TOPIC as REDRIVES
from mainstem.recover.replay import TOPIC as REPLAYS
from mainstem.recover.wishes import TOPIC as JOBS

COMPACTED = {"cleanup.policy": "compact"}
FOR_EVER = {"retention.ms": "-1"}
SHORT = {**COMPACTED, "segment.bytes": str(4 << 20), "delete.retention.ms": "60000"}
"""For what is written with every batch and read whole at each take-over: Kafka compacts no segment that is still
written to, and keeps the markers of transactions as long as tombstones."""


@dataclass(frozen=True)
class Changes:
    """What is missing. Nothing that exists is ever changed or deleted by it."""

    topics: Sequence[TopicSpec]
    schemas: Sequence[SchemaFile]

    @property
    def is_empty(self) -> bool:
        return not self.topics and not self.schemas


def wanted_topics(project: Project) -> list[TopicSpec]:
    """Every topic that the project's parts read or write, those that mainstem derives included."""
    streams = [find_stream(project, name) for name in project.streams]
    tables = {topic for stream in streams for topic in stream.tables.values()}
    carried = {source.topic for source in project.sources} | {t for sink in project.sinks for t in sink.topics}
    carried |= {topic for stream in streams for topic in (stream.reads, stream.writes, *stream.tables.values())}
    retention = project.defaults.retention_s
    kept = FOR_EVER if retention is None else {"retention.ms": str(retention * 1000)}
    specs = {topic: COMPACTED if topic in tables else kept for topic in carried}
    for sink in project.sinks:
        specs |= {sink.dead_letters: FOR_EVER, sink.redrive: kept}
    specs |= {names.stream_dead_letters(name): FOR_EVER for name in project.streams}
    specs |= {names.source_dead_letters(s.integration, s.name): FOR_EVER for s in project.sources}
    made = [TopicSpec(t, project.defaults.partitions, project.defaults.replication, c) for t, c in specs.items()]
    jobs = (REPLAYS, REDRIVES, JOBS)
    internal = [TopicSpec(t, 1, project.defaults.replication, COMPACTED) for t in (LETTERS, *jobs)]
    internal += [TopicSpec(POSITIONS, 1, project.defaults.replication, SHORT)]
    internal += [TopicSpec(TASKS, PARTITIONS, project.defaults.replication)]
    return sorted([*made, *internal], key=lambda spec: spec.name)


def find_changes(services: Services) -> Changes:
    """What is missing. Raises Misconfigured for a schema that could crash a decoder; Unreachable. Blocks."""
    schemas = list(services.project.schemas.values())
    for schema in schemas:
        check_safe(schema.definition, schema.topic)
    there = services.admin.topics()
    topics = [spec for spec in wanted_topics(services.project) if spec.name not in there]
    return Changes(topics, list(_unregistered(services, schemas)))


def make_changes(services: Services, changes: Changes) -> None:
    """Makes what is missing; blocks. Raises Misconfigured (MS-208) for an incompatible schema, then makes no topic."""
    for schema in changes.schemas:
        services.registry.register(schema.subject, schema.definition)
    services.admin.create(changes.topics)


def _unregistered(services: Services, schemas: Iterable[SchemaFile]) -> Iterable[SchemaFile]:
    for schema in schemas:
        try:
            services.registry.id_of(schema.subject, schema.definition)
        except Misconfigured:
            yield schema
