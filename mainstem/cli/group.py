"""`mainstem group`: who reads what, and how far behind it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from mainstem.app.services import Services
from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services, part_of
from mainstem.cli.output import Format, FormatOption, say, show_item, show_rows
from mainstem.errors import Misconfigured
from mainstem.kafka.lag import without_records
from mainstem.kafka.topics import GroupState
from mainstem.project import names

app = typer.Typer(help="Consumer groups: their members and lag.", no_args_is_help=True)

LIST_COLUMNS = ("group", "state", "members", "lag")
PARTITION_COLUMNS = ("topic", "partition", "committed", "end", "lag")


@app.command("list")
@reports_errors
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Groups of others too.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """The groups of mainstem's sinks and streams."""
    with open_services(project) as services:
        names_of_all = services.admin.groups()
        found = [_looked_into(services, name) for name in names_of_all if all_ or name.startswith("mainstem.")]
    rows = [{"group": g.name, "state": g.state, "members": g.members, "lag": g.lag} for g in found]
    show_rows(rows, LIST_COLUMNS, output)


@app.command()
@reports_errors
def describe(
    group: Annotated[str, typer.Argument(help="A group, integration.sink, or a stream.")],
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """One group: its state, its members, and per partition where it stands and what is left.

    The lag counts offsets, so markers of transactions between records count too; it is 0 where no record is left. A
    sink that keeps its offsets in its target commits them to the group for this display only.
    """
    with open_services(project) as services:
        found = _looked_into(services, _group_name(services, group))
        if not found.members and not found.positions:
            raise Misconfigured(
                f"there is no group {found.name}", fix="start it with `mainstem run`; see `mainstem group list`"
            )
        rows = _partitions(found)
        if output is Format.TABLE:
            say(f"{found.name}: {found.state.lower()}, {found.members} members, lag {found.lag}")
            show_rows(rows, PARTITION_COLUMNS, output)
            return
        whole = {
            "group": found.name,
            "state": found.state,
            "members": found.members,
            "lag": found.lag,
            "partitions": rows,
        }
        show_item(whole, output)


def _group_name(services: Services, group: str) -> str:
    for sink in services.project.sinks:
        if group == part_of(sink):
            return sink.group
    return names.stream_group(group) if group in services.project.streams else group


def _looked_into(services: Services, name: str) -> GroupState:
    group = services.admin.group(name)
    return replace(group, read=without_records(services.config, group.rests))


def _partitions(group: GroupState) -> list[dict[str, Any]]:
    lags = group.lags
    return [
        {"topic": p.topic, "partition": p.number, "committed": at, "end": end, "lag": lags[p]}
        for p, (at, end) in group.positions.items()
    ]
