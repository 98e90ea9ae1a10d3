"""The project that a command works on, and its connections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainstem.app.services import Services, registry_of
from mainstem.codec.avro import Codec
from mainstem.errors import Misconfigured
from mainstem.kafka.topics import Admin
from mainstem.observe.board import Board
from mainstem.observe.latency import Latencies
from mainstem.project.findings import did_you_mean
from mainstem.project.load import load
from mainstem.project.model import Project, SinkSpec

ProjectOption = Annotated[Path, typer.Option("--project", help="The project's folder.", file_okay=False)]
HERE = Path()
SILENT = {"log_level": 0}
"""The client library reports broken connections on stderr by itself; a command says it once, in its error."""


def open_services(folder: Path) -> Services:
    """What a command needs of the project in that folder. Nothing is asked of Kafka or the registry yet."""
    project = load(folder)
    config = {**project.kafka.client_properties(), **SILENT}
    registry = registry_of(project)
    definitions = {topic: schema.definition for topic, schema in project.schemas.items()}
    return Services(project, config, registry, Codec(registry, definitions), Admin(config), Board(), Latencies())


def find_sink(project: Project, part: str) -> SinkSpec:
    """The sink that is called `integration.sink`. Raises Misconfigured when there is none."""
    for sink in project.sinks:
        if part in {part_of(sink), sink.dead_letters}:
            return sink
    known = [part_of(sink) for sink in project.sinks]
    raise Misconfigured(
        f"the project has no sink `{part}`{did_you_mean(part, known)}",
        fix=f"name one of: {', '.join(sorted(known)) or 'none'}",
    )


def part_of(sink: SinkSpec) -> str:
    """`payments-to-accounting.journal`."""
    return f"{sink.integration}.{sink.name}"
