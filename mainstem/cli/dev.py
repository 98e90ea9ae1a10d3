"""`mainstem dev` and `mainstem stop`: the development stack of this folder."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from mainstem import devstack
from mainstem.app.apply import find_changes, make_changes
from mainstem.cli.exit import reports_errors
from mainstem.cli.hosting import run_loop, signalled
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_item
from mainstem.cli.progress import TerminalProgress


@reports_errors
def dev(
    detach: Annotated[bool, typer.Option("--detach", help="Leave it running; `mainstem stop` ends it.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Starts Kafka, the registry and PostgreSQL for this folder, and makes the project's topics and schemas."""
    with TerminalProgress() as progress:
        if detach:
            running = devstack.ensure(project, progress)
            _ready(running.stack, output, project)
            return
        with devstack.shared(project, progress) as running:
            _ready(running.stack, output, project)
            say("Ctrl-C stops")
            raise typer.Exit(run_loop(signalled(asyncio.Event())))


@reports_errors
def stop(project: ProjectOption = HERE) -> None:
    """Stops the development stack of this folder; its data stays."""
    with TerminalProgress() as progress:
        stopped = devstack.stop(project, progress)
    say("stopped" if stopped else "nothing was running")


def _ready(stack: devstack.Stack, output: Format, project: ProjectOption) -> None:
    with open_services(project) as services:
        make_changes(services, find_changes(services))
    shown = {"kafka": stack.bootstrap, "registry": stack.registry_url, "folder": str(project.resolve() / ".mainstem")}
    show_item(shown, output)
