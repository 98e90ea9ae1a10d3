"""`mainstem apply`: makes the topics and registers the schemas that the project needs."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstem.app.apply import find_changes, make_changes
from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_rows

COLUMNS = ("change", "name", "partitions", "config")


@reports_errors
def apply(
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without it the changes are shown.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Makes missing topics and registers new schemas. Nothing that exists is changed or deleted."""
    with open_services(project) as services:
        changes = find_changes(services)
        rows = [{"change": "register schema", "name": schema.subject} for schema in changes.schemas]
        for topic in changes.topics:
            config = " ".join(f"{name}={value}" for name, value in topic.config.items())
            rows.append(
                {"change": "create topic", "name": topic.name, "partitions": str(topic.partitions), "config": config}
            )
        show_rows(rows, COLUMNS, output)
        if changes.is_empty:
            say("nothing is missing")
        elif execute:
            make_changes(services, changes)
            say(f"done: {len(changes.schemas)} schemas registered, {len(changes.topics)} topics made")
        else:
            say("nothing was changed; do it with --execute")
