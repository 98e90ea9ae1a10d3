"""Every name that mainstem makes or checks: topics, groups, subjects, schema files. Nothing else spells them out.

A topic is `<domain>.<fact_or_entity>.v<major>`; the event type is the topic without its version, and it is also the
path of the schema file and the Avro full name. Names that mainstem derives end in `.dlq` or `.redrive` or begin with
`_mainstem.`, so none of them can be the name of a topic.
"""

from __future__ import annotations

import keyword
import re
from pathlib import PurePath, PurePosixPath

MAX_TOPIC_LENGTH = 249
"""Kafka's own limit, in characters."""

MAX_NAME_LENGTH = 80
"""Of an integration, a source, a sink or a stream: two of them and a suffix must fit into a topic."""

NAME = r"[a-z][a-z0-9]*([_-][a-z0-9]+)*"
"""What an integration, a source or a sink may be called (a pattern without anchors)."""

IDENTIFIER = r"[a-z][a-z0-9_]*"
"""What a stream, a connector or a module of mappings may be called: it is a Python name too."""

SECRET_NAME = r"[a-z][a-z0-9_]*"  # noqa: S105 - a pattern
"""What a secret may be called: the name of a file and, in upper case, of an environment variable."""

TOPIC = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){1,5}"
"""What a topic may be called; it also ends in its version."""

_VERSION = re.compile(r"\.v([1-9][0-9]*)$")


def topic_problem(topic: str) -> str | None:
    """Why a project may not declare a topic of that name; None when it may."""
    if len(topic) > MAX_TOPIC_LENGTH:
        return f"it has {len(topic)} characters, and Kafka takes {MAX_TOPIC_LENGTH}"
    if not re.fullmatch(TOPIC, topic):
        return "a topic is <domain>.<fact_or_entity>.v<major> in lower case, with underscores and no hyphens"
    if not _VERSION.search(topic):
        return "it does not end in its version"
    return None


def name_problem(name: str) -> str | None:
    """Why an integration, a source or a sink may not be called that; None when it may."""
    if not re.fullmatch(NAME, name):
        return "it takes lower-case letters and digits, with single hyphens or underscores between them"
    return _too_long(name)


def identifier_problem(name: str) -> str | None:
    """Why a stream or connector may not be called that; None when it may."""
    if not re.fullmatch(IDENTIFIER, name) or keyword.iskeyword(name):
        return "it takes lower-case letters, digits and underscores, as a Python module does"
    return _too_long(name)


def _too_long(name: str) -> str | None:
    return f"it has {len(name)} characters, and {MAX_NAME_LENGTH} are allowed" if len(name) > MAX_NAME_LENGTH else None


def major(topic: str) -> int | None:
    """The version at the end of a topic's name; None where there is none."""
    found = _VERSION.search(topic)
    return int(found[1]) if found else None


def event_type(topic: str) -> str:
    """The topic without its version: `ce_type`, and the full name of its Avro record."""
    return _VERSION.sub("", topic)


def schema_path(topic: str) -> PurePosixPath:
    """The topic's schema file, relative to the project folder."""
    *folders, name = event_type(topic).split(".")
    version = topic[len(event_type(topic)) :]
    return PurePosixPath("schemas", *folders, f"{name}{version}.avsc")


def topic_of_schema(path: PurePath) -> str:
    """The topic of a schema file whose path is relative to the schemas folder."""
    return ".".join(path.with_suffix("").parts)


def value_subject(topic: str) -> str:
    """The registry's subject for the topic's values."""
    return f"{topic}-value"


def key_subject(topic: str) -> str:
    """The registry's subject for the topic's keys."""
    return f"{topic}-key"


def sink_group(integration: str, sink: str) -> str:
    """The consumer group of a sink."""
    return f"mainstem.{integration}.{sink}"


def sources_group(integration: str) -> str:
    """The consumer group that shares an integration's pulled sources among processes; no sink may be called so."""
    return sink_group(integration, "sources")


def stream_group(stream: str) -> str:
    """The consumer group of a stream. It cannot meet a sink's: no name of a stream has a dot."""
    return f"mainstem.{stream}"


def sink_dead_letters(integration: str, sink: str) -> str:
    """The topic of a sink's dead letters: one per consumer, so that a redrive reaches only the one that failed."""
    return f"{integration}.{sink}.dlq"


def sink_redrive(integration: str, sink: str) -> str:
    """The topic from which a sink, and nobody else, is given its dead letters again."""
    return f"{integration}.{sink}.redrive"


def stream_dead_letters(stream: str) -> str:
    """The topic where a stream's dead letters go."""
    return f"{stream}.dlq"


def source_dead_letters(integration: str, source: str) -> str:
    """The topic for what a source reads and cannot publish."""
    return f"{integration}.{source}.dlq"


def internal(name: str) -> str:
    """A topic of mainstem's own: positions, jobs, receipts, audit."""
    return f"_mainstem.{name}"


def is_internal(topic: str) -> bool:
    """Whether the topic is mainstem's own."""
    return topic.startswith("_mainstem.")


def is_dead_letters(topic: str) -> bool:
    """Whether the topic holds dead letters of a sink or stream."""
    return topic.endswith(".dlq")


def is_redrive(topic: str) -> bool:
    """Whether the topic gives a sink its dead letters again."""
    return topic.endswith(".redrive")


def in_kafka_metrics(topic: str) -> str:
    """The name under which Kafka's metrics know a topic. Kafka refuses a second topic whose name comes out the same."""
    return topic.replace(".", "_")
