"""`mainstem`: the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstem.cli import config, dlq, group, record, replay, topic
from mainstem.cli.apply import apply
from mainstem.cli.demo.command import demo
from mainstem.cli.dev import dev, stop
from mainstem.cli.doctor import doctor
from mainstem.cli.lint import lint
from mainstem.cli.run import run
from mainstem.observe.metrics import VERSION

app = typer.Typer(
    help="An event-streaming integration backbone on Apache Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mainstem {VERSION}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Connect each system once, to the backbone."""


for command in (demo, dev, stop, lint, apply, run, doctor):
    app.command()(command)
app.add_typer(topic.app, name="topic")
app.add_typer(record.app, name="record")
app.add_typer(dlq.app, name="dlq")
app.add_typer(replay.app, name="replay")
app.add_typer(group.app, name="group")
app.add_typer(config.app, name="config")


def main() -> None:
    """The entry point of the installed command."""
    app()
