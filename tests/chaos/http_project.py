"""A small project for a plain sink: movements of many accounts, each posted to a server of the test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mainstem.app.apply import find_changes, make_changes, wanted_topics
from mainstem.app.services import Services
from mainstem.devstack import Stack
from mainstem.project.load import load
from tests import posting_connector

BATCH = 100
WINDOW_RECORDS = 2 * BATCH
"""What a worker that dies has delivered at most without Kafka knowing of it (docs/guarantees.md)."""
ANSWER_S = 2.0
YAML = """integration: {integration}
owner: chaos
sinks:
  - name: calls
    connector: posting_{tag}
    topics: [{topic}]
    batch: {{max_records: {batch}}}
    delivery:
      retry: {{attempts: 100, first_s: 0.05, max_s: 1}}
      max_parked_keys: 100000
    settings: {{url: '{url}', timeout_s: {answer_s}}}
"""
"""So many attempts that nothing is given up for a server that misbehaves at random."""


@dataclass(frozen=True)
class HttpProject:
    """One such project, under names of its own."""

    folder: Path
    tag: str

    @property
    def topic(self) -> str:
        return f"calls_{self.tag}.movement.v1"

    @property
    def integration(self) -> str:
        return f"calls-{self.tag}"

    @property
    def dlq(self) -> str:
        return f"{self.integration}.calls.dlq"

    @property
    def group(self) -> str:
        return f"mainstem.{self.integration}.calls"

    def services(self) -> Services:
        """Connections to the stack, for this project; to be closed."""
        return Services.of(load(self.folder))

    def remove(self) -> None:
        """Its topics."""
        with self.services() as services:
            services.admin.delete([s.name for s in wanted_topics(services.project) if self.tag in s.name])


def open_project(folder: Path, tag: str, stack: Stack, url: str) -> HttpProject:
    """Writes the project and makes its topics and schema."""
    project = HttpProject(folder, tag)
    schemas, integrations = folder / "schemas" / f"calls_{tag}", folder / "integrations"
    connector = folder / "connectors" / f"posting_{tag}"
    for each in (schemas, integrations, connector):
        each.mkdir(parents=True)
    fields = [
        {"name": "event_id", "type": "string"},
        {"name": "key", "type": "string"},
        {"name": "seq", "type": "int"},
        {"name": "amount", "type": "int"},
    ]
    schema = {"type": "record", "namespace": f"calls_{tag}", "name": "movement", "fields": fields}
    (schemas / "movement.v1.avsc").write_text(json.dumps(schema))
    (connector / "__init__.py").write_text(Path(posting_connector.__file__).read_text())
    (folder / "mainstem.yaml").write_text(
        f"project: chaos\nkafka: {{bootstrap: '{stack.bootstrap}'}}\nregistry: {{url: '{stack.registry_url}'}}\n"
    )
    text = YAML.format(
        integration=project.integration, tag=tag, topic=project.topic, batch=BATCH, url=url, answer_s=ANSWER_S
    )
    (integrations / f"{project.integration}.yaml").write_text(text)
    with project.services() as services:
        make_changes(services, find_changes(services))
    return project
