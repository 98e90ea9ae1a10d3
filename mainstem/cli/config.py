"""`mainstem config`: the project's settings, and where each comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption
from mainstem.cli.output import Format, FormatOption, show_item, show_rows
from mainstem.project.editors import json_schema
from mainstem.project.origins import settings

app = typer.Typer(help="The project's settings.", no_args_is_help=True)


@app.command()
@reports_errors
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Where each value comes from.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Every setting; secrets are masked."""
    rows = [{"key": row.key, "value": row.value, "origin": row.origin} for row in settings(project)]
    show_rows(rows, ("key", "value", *(("origin",) if origin else ())), output)


@app.command()
@reports_errors
def schema(file: Annotated[str, typer.Argument(help="project or integration")] = "integration") -> None:
    """The JSON Schema of mainstem.yaml (project) or of an integration's file, for editors."""
    show_item(json_schema("project" if file == "project" else "integration"), Format.JSON)
