"""From the names in a project to what they stand for: connectors, streams, mappings. This runs the user's code."""

from __future__ import annotations

from pathlib import Path

from mainstem.project import imports
from mainstem.project.connectors import Role, build
from mainstem.project.findings import Place, ProjectError, Severity, did_you_mean, error
from mainstem.project.mapping import MapFunction, as_it_is, by_fields, by_function, find_function
from mainstem.project.model import Integration, Project, SinkSpec, SourceSpec, StepSpec
from mainstem.sdk.settings import Settings
from mainstem.sdk.sink import Sink, TransactionalSink
from mainstem.sdk.source import PushSource, Source
from mainstem.sdk.stream import Stream


def build_source(project: Project, spec: SourceSpec) -> Source | PushSource:
    """The source, made of its settings with their references resolved. Raises ProjectError with line and column."""
    made = _build(project, spec, "source")
    if not isinstance(made, Source | PushSource):
        raise TypeError(f"{type(made).__name__} is no source")
    return made


def build_sink(project: Project, spec: SinkSpec) -> Sink | TransactionalSink:
    """The sink, made of its settings with their references resolved. Raises ProjectError with line and column."""
    made = _build(project, spec, "sink")
    if not isinstance(made, Sink | TransactionalSink):
        raise TypeError(f"{type(made).__name__} is no sink")
    return made


def find_stream(project: Project, name: str) -> Stream:
    """The stream of that name. Raises ProjectError where the project names it."""
    return stream_at(project.folder, name, _place_of_stream(project.integrations, name))


def find_mapping(project: Project, spec: SinkSpec) -> MapFunction:
    """What turns the sink's events into rows. Raises ProjectError with line and column."""
    return mapping_at(project.folder, spec)


def stream_at(folder: Path, name: str, place: Place) -> Stream:
    """The stream `streams.<name>.<name>`. Raises ProjectError at `place`."""
    module = imports.load_module(folder, "streams", name, place)
    if module is None:
        near = did_you_mean(name, imports.available(folder, "streams"))
        raise ProjectError(error(place, f"there is no streams/{name}.py{near}", fix="correct the name or add the file"))
    found = vars(module).get(name)
    if not isinstance(found, Stream):
        fix = f"decorate a function `{name}` in it with @stream(reads=..., writes=...)"
        raise ProjectError(error(place, f"streams/{name}.py has no stream `{name}`", fix=fix))
    return found


def mapping_at(folder: Path, spec: SinkSpec) -> MapFunction:
    """What turns the sink's events into rows. Raises ProjectError where the sink is written."""
    match spec.map:
        case None:
            return as_it_is
        case str():
            place = spec.region.at("map") if spec.region else Place(f"{spec.integration}.{spec.name}")
            return by_function(find_function(folder, spec.map, place))
        case dict():
            return by_fields(spec.map)


def _build(project: Project, spec: StepSpec, role: Role) -> Settings:
    built = build(project.folder, project.references, spec, role)
    for finding in built.findings:
        if finding.severity is Severity.ERROR:
            raise ProjectError(finding)
    if built.connector is None:
        raise AssertionError("a connector that could not be made has a finding")
    return built.connector


def _place_of_stream(integrations: tuple[Integration, ...], name: str) -> Place:
    for made in integrations:
        if name in made.streams and made.region:
            return made.region.at("streams", made.streams.index(name))
    return Place(f"streams/{name}.py")
