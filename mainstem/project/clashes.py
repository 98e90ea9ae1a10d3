"""What the files of a project must agree on: names that are taken once, topics that have a schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mainstem.project import names
from mainstem.project.findings import Finding, Place, did_you_mean, error
from mainstem.project.model import Integration, SchemaFile, StepSpec


def clashes(integrations: Sequence[Integration], schemas: Mapping[str, SchemaFile]) -> list[Finding]:
    """Everything that can be told without running the project's code."""
    return [
        *_integrations_named_twice(integrations),
        *(finding for made in integrations for finding in _steps_named_twice(made)),
        *(finding for made in integrations for finding in _topics_without_schema(made, schemas)),
        *_alike_in_kafka(integrations, schemas),
    ]


def topic_without_schema(topic: str, schemas: Mapping[str, SchemaFile], place: Place) -> Finding | None:
    """A finding when no file describes the topic."""
    if topic in schemas:
        return None
    near = did_you_mean(topic, schemas)
    fix = f"add {names.schema_path(topic)}, or correct the topic"
    return error(place, f"the topic `{topic}` has no schema{near}", fix=fix)


def _integrations_named_twice(integrations: Sequence[Integration]) -> Iterator[Finding]:
    first: dict[str, Place] = {}
    for made in integrations:
        place = _place(made, "integration")
        if made.name in first:
            message = f"the integration `{made.name}` is also in {first[made.name].path}"
            yield error(place, message, fix="rename one of them: groups and dead-letter topics carry the name")
        first.setdefault(made.name, place)


def _steps_named_twice(made: Integration) -> Iterator[Finding]:
    first: dict[str, Place] = {}
    for part in (*made.sources, *made.sinks):
        place = _place(part, "name")
        if part.name in first:
            message = f"the name `{part.name}` is taken on line {first[part.name].line}"
            yield error(place, message, fix="rename one of them: metrics, groups and topics carry the name")
        first.setdefault(part.name, place)
    for sink in made.sinks:
        if sink.group == names.sources_group(made.name):
            message = f"a sink cannot be called `{sink.name}`: its group would be that of the integration's sources"
            yield error(_place(sink, "name"), message, fix="give it another name")
    seen: set[str] = set()
    for number, stream in enumerate(made.streams):
        if stream in seen:
            yield error(_place(made, "streams", number), f"the stream `{stream}` is here twice", fix="keep one of them")
        seen.add(stream)


def _topics_without_schema(made: Integration, schemas: Mapping[str, SchemaFile]) -> Iterator[Finding]:
    for source in made.sources:
        if finding := topic_without_schema(source.topic, schemas, _place(source, "topic")):
            yield finding
    for sink in made.sinks:
        for number, topic in enumerate(sink.topics):
            if finding := topic_without_schema(topic, schemas, _place(sink, "topics", number)):
                yield finding


def _alike_in_kafka(integrations: Sequence[Integration], schemas: Mapping[str, SchemaFile]) -> Iterator[Finding]:
    """Kafka refuses a topic whose name differs from another's by a dot for an underscore only (its metrics)."""
    first: dict[str, str] = {}
    for topic, place in _all_topics(integrations, schemas):
        other = first.setdefault(names.in_kafka_metrics(topic), topic)
        if other != topic:
            message = f"Kafka refuses the topic `{topic}` beside `{other}`: its metrics cannot tell them apart"
            yield error(place, message, fix="rename one of them: a dot and an underscore count as the same")


def _all_topics(integrations: Iterable[Integration], schemas: Mapping[str, SchemaFile]) -> Iterator[tuple[str, Place]]:
    for topic in schemas:
        yield topic, Place(names.schema_path(topic).as_posix())
    for made in integrations:
        for stream in made.streams:
            yield names.stream_dead_letters(stream), _place(made, "streams")
        for sink in made.sinks:
            yield sink.dead_letters, _place(sink, "name")
            yield sink.redrive, _place(sink, "name")


def _place(written: Integration | StepSpec, *steps: str | int) -> Place:
    return written.region.at(*steps) if written.region else Place(written.name)
