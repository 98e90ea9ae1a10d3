"""`mainstem record`: where one event is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mainstem.cli.exit import PROBLEMS, reports_errors
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
    """Every place at the ends of all topics where the event stands, in the order in which it came there."""
    with open_services(project) as services:
        topics = [t for t in services.admin.topics() if not (names.is_internal(t) or t.startswith("__"))]
        with reading(services.config) as reader:
            found = [message for topic in topics for message in _of_event(reader, topic, depth, event_id)]
        found.sort(key=lambda message: message.timestamp()[1])
        rows: list[dict[str, Any]] = []
        for message in found:
            topic = origin_of(message).topic
            statuses = read_statuses(services.config, topic) if names.is_dead_letters(topic) else {}
            letter = project_letters(topic, [message], statuses).letters[0]
            says = f"{letter.state}: {letter.fault.message}" if names.is_dead_letters(topic) else None
            rows.append({"place": letter.place, "published": letter.written_at, "key": letter.key, "says": says})
        show_rows(rows, COLUMNS, output)
        if not rows:
            say(f"{event_id} is not among the last {depth} offsets of each partition of {len(topics)} topics")
            raise typer.Exit(PROBLEMS)


def _of_event(reader: Reader, topic: str, depth: int, event_id: str) -> list[Message]:
    bounds = reader.whole([topic])
    ranges = {partition: (max(low, high - depth), high) for partition, (low, high) in bounds.items()}
    return [message for batch in reader.read(ranges) for message in batch if _id(message) == event_id]


def _id(message: Message) -> str | None:
    return h.text(h.as_dict(message.headers()), h.ID)
