"""Finds and reads the dead-letter topics that a command means, and single letters in them."""

from __future__ import annotations

from mainstem.app.services import Services
from mainstem.errors import Misconfigured
from mainstem.project import names
from mainstem.project.model import Project
from mainstem.recover.letters import Letter, LetterBox, read_boxes


def open_boxes(services: Services, name: str = "") -> list[LetterBox]:
    """The letters of the topic that is named, or of every dead-letter topic of the project that there is.

    A name is a topic's, of whatever system, or the part's whose dead letters are meant: `integration.sink`, a stream.
    Raises Misconfigured (MS-206) when there is no such topic.
    """
    there = services.admin.topics().keys()
    if not name:
        return read_boxes(services.config, sorted(dead_letter_topics(services.project) & there))
    return read_boxes(services.config, [name if name in there else f"{name.removesuffix('.dlq')}.dlq"])


def find_letters(services: Services, text: str, dlq: str = "") -> list[tuple[LetterBox, Letter]]:
    """The letters that an event id, or a place of the letter or of its origin, stands for, each with its box.

    Raises Misconfigured when there is none.
    """
    found = [(box, letter) for box in open_boxes(services, dlq) for letter in box.letters if _is_meant(letter, text)]
    if not found:
        raise Misconfigured(f"there is no dead letter {text}", fix="see `mainstem dlq list --letters --all`")
    return found


def dead_letter_topics(project: Project) -> set[str]:
    """The topics in which the dead letters of the project's parts end."""
    topics = {sink.dead_letters for sink in project.sinks}
    topics |= {names.stream_dead_letters(stream) for stream in project.streams}
    return topics | {names.source_dead_letters(source.integration, source.name) for source in project.sources}


def event_topics(project: Project) -> set[str]:
    """Every topic of the project that can hold an event, those that mainstem derives included."""
    topics = {source.topic for source in project.sources} | project.schemas.keys()
    return topics.union(dead_letter_topics(project), *((*sink.topics, sink.redrive) for sink in project.sinks))


def _is_meant(letter: Letter, text: str) -> bool:
    return text in {letter.event_id, str(letter.place), str(letter.origin)}
