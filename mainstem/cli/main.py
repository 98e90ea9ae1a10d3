"""`mainstem`: the command line."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Annotated

import typer

from mainstem.cli.commands import Root

app = typer.Typer(
    cls=Root,
    help="An event-streaming integration backbone on Apache Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mainstem {version_of('mainstem')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Connect each system once, to the backbone."""


def main() -> None:
    """The entry point of the installed command."""
    app()
