"""Everything that is wrong with a project folder, at once. Needs no stack; does need the secrets to be there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mainstem.errors import MISSING_SECRET, STACK_NOT_RUNNING
from mainstem.project import imports, names
from mainstem.project.clashes import topic_without_schema
from mainstem.project.connectors import Role, build
from mainstem.project.discover import mapping_at, stream_at
from mainstem.project.fields import field_problem
from mainstem.project.findings import Finding, Place, ProjectError, error, warning
from mainstem.project.interpolate import secrets_in
from mainstem.project.load import Contents, read_project
from mainstem.project.model import Integration, SinkSpec, StepSpec
from mainstem.sdk.stream import Stream

_NO_FLAGS: Mapping[str, str] = {}
_Streams = dict[str, Stream]


def lint(
    folder: Path, *, flags: Mapping[str, str] = _NO_FLAGS, environ: Mapping[str, str] | None = None
) -> list[Finding]:
    """All findings, by file and line. The user's code is imported, and nothing is connected to."""
    contents = read_project(folder, flags=flags, environ=os.environ if environ is None else environ)
    streams: _Streams = {}
    findings = [*contents.findings, *imports.package_findings(contents.folder)]
    for made in contents.integrations:
        findings += _steps(contents, made)
        findings += _streams(contents, made, streams)
    findings += _nobody_writes(contents, streams)
    findings += _exposed_secrets(contents)
    left = [finding for finding in findings if not _is_moot(contents, finding)]
    return sorted(dict.fromkeys(left), key=lambda finding: (finding.path, finding.line, finding.column))


def _is_moot(contents: Contents, finding: Finding) -> bool:
    """No stack has to run; and where secrets are is not known while mainstem.yaml is wrong."""
    return finding.code is STACK_NOT_RUNNING or (finding.code is MISSING_SECRET and contents.file is None)


def _steps(contents: Contents, made: Integration) -> Iterator[Finding]:
    for source in made.sources:
        yield from _settings(contents, source, "source")
    for sink in made.sinks:
        yield from _settings(contents, sink, "sink")
        yield from _mapping(contents, sink)


def _settings(contents: Contents, spec: StepSpec, role: Role) -> Iterator[Finding]:
    try:
        yield from build(contents.folder, contents.references, spec, role).findings
    except ProjectError as wrong:
        yield wrong.finding


def _mapping(contents: Contents, sink: SinkSpec) -> Iterator[Finding]:
    try:
        mapping_at(contents.folder, sink)
    except ProjectError as wrong:
        yield wrong.finding
    if not isinstance(sink.map, dict):
        return
    for target, source in sink.map.items():
        for topic in sink.topics:
            schema = contents.schemas.get(topic)
            if schema and (problem := field_problem(schema.definition, source)):
                fix = f"name a field of {names.schema_path(topic)}"
                yield error(_place(sink, "map", target), f"`{source}` is not in `{topic}`: {problem}", fix=fix)


def _streams(contents: Contents, made: Integration, found: _Streams) -> Iterator[Finding]:
    for number, name in enumerate(made.streams):
        place = _place(made, "streams", number)
        try:
            stream = found[name] = stream_at(contents.folder, name, place)
        except ProjectError as wrong:
            yield wrong.finding
            continue
        for verb, topic in _topics(stream):
            if problem := names.topic_problem(topic):
                fix = f"correct it in streams/{name}.py"
                yield error(place, f"`{topic}`, which `{name}` {verb}, is not the name of a topic: {problem}", fix=fix)
            elif missing := topic_without_schema(topic, contents.schemas, place):
                yield error(place, f"`{name}` {verb} `{topic}`: {missing.message}", fix=missing.fix)


def _topics(stream: Stream) -> list[tuple[str, str]]:
    reads = [stream.reads, *stream.tables.values()]
    return [*(("reads", topic) for topic in reads), ("writes", stream.writes)]


def _nobody_writes(contents: Contents, streams: _Streams) -> Iterator[Finding]:
    """A topic that is read and that nothing here writes. Another project may; so it is a warning."""
    written = {source.topic for made in contents.integrations for source in made.sources}
    written |= {stream.writes for stream in streams.values()}
    fix = "add the source or stream that writes it; nothing is to be done if something outside of this project does"
    for made in contents.integrations:
        for number, name in enumerate(made.streams):
            for verb, topic in _topics(streams[name]) if name in streams else ():
                if verb == "reads" and topic not in written:
                    message = f"nothing in this project writes `{topic}`, which `{name}` reads"
                    yield warning(_place(made, "streams", number), message, fix=fix)
        for sink in made.sinks:
            for number, topic in enumerate(sink.topics):
                if topic not in written:
                    yield warning(_place(sink, "topics", number), f"nothing in this project writes `{topic}`", fix=fix)


def _exposed_secrets(contents: Contents) -> Iterator[Finding]:
    secrets = contents.references.secrets
    referred = secrets_in(contents.document.data) if contents.document else set()
    for made in contents.integrations:
        for part in (*made.sources, *made.sinks):
            referred |= secrets_in(dict(part.settings))
    for name in sorted(referred):
        if secrets.is_exposed(name):
            file = secrets.file(name)
            shown = file.relative_to(contents.folder) if file.is_relative_to(contents.folder) else file
            message = f"other users of this machine can read the secret `{name}`"
            yield warning(Place(str(shown)), message, fix=f"chmod 600 {shown}")


def _place(written: Integration | StepSpec, *steps: str | int) -> Place:
    return written.region.at(*steps) if written.region else Place(written.name)
