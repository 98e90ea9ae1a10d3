"""`mainstem record`: where one event is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mainstem.app.services import Services
from mainstem.cli.exit import PROBLEMS, reports_errors
from mainstem.cli.letterboxes import event_topics
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_rows
from mainstem.codec import headers as h
from mainstem.codec.message import Message, origin_of
from mainstem.kafka.reader import Reader, reading
from mainstem.project import names
from mainstem.recover.letters import project as project_letters
from mainstem.recover.letters import read_statuses

app = typer.Typer(help="Records: where is one event?", no_args_is_help=True)

COLUMNS = ("place", "published", "key", "says")


@app.command()
@reports_errors
def trace(
    event_id: Annotated[str, typer.Argument(help="The event's id (ce_id).")],
    *,
    depth: Annotated[int, typer.Option("--depth", min=1, help="How many offsets back to look in each topic.")] = 50_000,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Where the event stands at the ends of the project's topics, in the order in which it came there."""
    with open_services(project) as services:
        topics = sorted(event_topics(services.project) & services.admin.topics().keys())
        with reading(services.config) as reader:
            found = _of_event(reader, topics, depth, event_id)
        rows = [_row(services, message) for message in sorted(found, key=lambda message: message.timestamp()[1])]
    show_rows(rows, COLUMNS, output)
    if not rows:
        say(f"{event_id} is not among the last {depth} offsets of each partition of {len(topics)} topics")
        raise typer.Exit(PROBLEMS)


def _of_event(reader: Reader, topics: Sequence[str], depth: int, event_id: str) -> list[Message]:
    bounds = reader.whole(topics)
    ranges = {partition: (max(low, high - depth), high) for partition, (low, high) in bounds.items()}
    return [message for batch in reader.read(ranges) for message in batch if _id(message) == event_id]


def _row(services: Services, message: Message) -> dict[str, Any]:
    topic = origin_of(message).topic
    is_letter = names.is_dead_letters(topic)
    statuses = read_statuses(services.config, topic) if is_letter else {}
    letter = project_letters(topic, [message], statuses).letters[0]
    says = f"{letter.state}: {letter.fault.message}" if is_letter else None
    return {"place": letter.place, "published": letter.written_at, "key": letter.key, "says": says}


def _id(message: Message) -> str | None:
    return h.text(h.as_dict(message.headers()), h.ID)
