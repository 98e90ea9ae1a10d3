"""A project that reads numbered lines from files: several sources of one integration into one topic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mainstem.app.apply import find_changes, make_changes
from mainstem.app.services import Services
from mainstem.codec.headers import ID, as_dict
from mainstem.codec.message import Message
from mainstem.devstack import Stack
from mainstem.ingest.positions import read_position
from mainstem.kafka.reader import reading
from mainstem.project.load import load
from tests.backbone_process import BackboneProcess
from tests.chaos.oracle import Mark

KEYS = 7


@dataclass(frozen=True)
class FileProject:
    """One such project, under names of its own."""

    folder: Path
    tag: str
    sources: int

    @property
    def topic(self) -> str:
        return f"lines_{self.tag}.line.v1"

    @property
    def integration(self) -> str:
        return f"lines-{self.tag}"

    @property
    def parts(self) -> list[str]:
        """The sources' names on the board."""
        return [f"{self.integration}.s{number}" for number in range(self.sources)]

    def file(self, number: int) -> Path:
        return self.folder / f"s{number}.ndjson"

    def services(self) -> Services:
        """Connections to the stack, for this project; to be closed."""
        return Services.of(load(self.folder))

    def write(self, number: int, lines: int, *, first: int = 0) -> list[Mark]:
        """Puts a new content into a source's file, at once: lines `first` and up. Gives the events it stands for."""
        numbered = range(first, first + lines)
        rows = [(f"s{number}.{seq % KEYS}", seq) for seq in numbered]
        text = "".join(json.dumps({"key": key, "seq": seq}) + "\n" for key, seq in rows).encode()
        partial = self.folder / f"s{number}.part"
        partial.write_bytes(text)
        partial.replace(self.file(number))
        content = hashlib.sha256(text).hexdigest()[:16]
        return [Mark(f"{content}:{place}", key, seq) for place, (key, seq) in enumerate(rows)]

    def process(self, port: int, *, session_s: float | None = None) -> BackboneProcess:
        """`mainstem run` of this project, not started."""
        env = {} if session_s is None else {"MAINSTEM_KAFKA__SESSION_TIMEOUT_S": f"{session_s:g}"}
        return BackboneProcess(self.folder, port, env=env)


def open_project(folder: Path, tag: str, stack: Stack, *, sources: int = 1, batch_events: int = 10) -> FileProject:
    """Writes the project, with empty files, and makes its topics and schema."""
    project = FileProject(folder, tag, sources)
    schemas = folder / "schemas" / f"lines_{tag}"
    for made in (schemas, folder / "integrations"):
        made.mkdir(parents=True)
    fields = [{"name": "key", "type": "string"}, {"name": "seq", "type": "int"}]
    schema = {"type": "record", "namespace": f"lines_{tag}", "name": "line", "fields": fields}
    (schemas / "line.v1.avsc").write_text(json.dumps(schema))
    (folder / "mainstem.yaml").write_text(
        f"project: lines\nkafka: {{bootstrap: '{stack.bootstrap}'}}\nregistry: {{url: '{stack.registry_url}'}}\n"
    )
    listed = "".join(
        f"  - name: s{number}\n    connector: files\n    topic: {project.topic}\n"
        f"    settings: {{path: '{project.file(number)}', key: key, batch_events: {batch_events}, poll_every_s: 0.2}}\n"
        for number in range(sources)
    )
    (folder / "integrations" / f"{project.integration}.yaml").write_text(
        f"integration: {project.integration}\nowner: tests\nsources:\n{listed}"
    )
    for number in range(sources):
        project.write(number, 0)
    with project.services() as services:
        make_changes(services, find_changes(services))
    return project


def read_marks(services: Services, topic: str, published: Mapping[str, Mark]) -> list[Mark]:
    """What read_committed readers see, in order; what nobody published has the number -1.

    To the true end: what has just been committed may stand behind a read_committed reader's end for a moment.
    """
    found: list[Mark] = []
    with reading(services.config) as reader:
        ends = services.admin.ends(reader.partitions(topic))
        for messages in reader.read({partition: (0, end) for partition, end in ends.items()}):
            found.extend(_mark(message, published) for message in messages)
    return found


def _mark(message: Message, published: Mapping[str, Mark]) -> Mark:
    event_id = as_dict(message.headers())[ID].decode()
    known = published.get(event_id)
    return Mark(event_id, (message.key() or b"").decode(), known.seq if known else -1)


def progress(services: Services, project: FileProject) -> Iterator[tuple[str, int]]:
    """Per source, the content and how many of its lines are durable, joined to one word; nothing for an unread one."""
    for part in project.parts:
        stored = read_position(services.config, part)
        if stored is not None:
            yield stored.position["content"][:16], int(stored.position["offset"])
