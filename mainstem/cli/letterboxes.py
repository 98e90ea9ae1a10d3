"""Finds and reads the dead-letter topics that a command means."""

from __future__ import annotations

from mainstem.app.services import Services
from mainstem.project import names
from mainstem.recover.letters import LetterBox, read_letters

DEAD_LETTERS = ".dlq"


def named_topic(name: str) -> str:
    """The dead-letter topic that a topic's name or `integration.sink` means."""
    return name if names.is_dead_letters(name) else f"{name}{DEAD_LETTERS}"


def sinks_topics(services: Services) -> list[str]:
    """The dead-letter topics of the project's sinks: those that can be redriven."""
    return [sink.dead_letters for sink in services.project.sinks]


def read_boxes(services: Services, *topics: str) -> list[LetterBox]:
    """The letters of these topics or, where none is named, of every dead-letter topic that Kafka has."""
    named = [named_topic(topic) for topic in topics if topic]
    if not named:
        named = sorted(topic for topic in services.admin.topics() if names.is_dead_letters(topic))
    return [read_letters(services.config, topic) for topic in named]
