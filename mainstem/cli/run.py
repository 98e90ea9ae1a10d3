"""`mainstem run`: hosts the backbone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from typing import Annotated

import typer

from mainstem.app.backbone import Backbone, Kind
from mainstem.cli.exit import reports_errors
from mainstem.cli.hosting import hosted, run_loop, signalled
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import say
from mainstem.errors import Misconfigured
from mainstem.observe.logs import LEVEL, configure
from mainstem.project.findings import did_you_mean
from mainstem.project.model import Integration, Project

OnlyOption = Annotated[list[Kind] | None, typer.Option("--only", help="sources, streams or sinks. Repeatable.")]


@reports_errors
def run(
    integrations: Annotated[list[str] | None, typer.Argument(help="Integrations to run; all if left out.")] = None,
    only: OnlyOption = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes for each stream.")] = 1,
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = "info",
    project: ProjectOption = HERE,
) -> None:
    """Runs sources, streams, sinks and the gateway until it is stopped; then drains and leaves."""
    os.environ[LEVEL] = log_level  # for the streams' processes too
    configure()
    with open_services(project) as services:
        backbone = Backbone(
            services, _chosen(services.project, integrations or ()), only or tuple(Kind), workers=workers
        )
        raise typer.Exit(run_loop(_until_stopped(backbone)))


async def _until_stopped(backbone: Backbone) -> int:
    stop = asyncio.Event()
    waiting = asyncio.create_task(signalled(stop))
    async with hosted(backbone) as gateway:
        say(f"listening on {gateway.url}; Ctrl-C stops")
        code = await waiting
        say("draining")
    return 0 if code == 128 + 15 else code


def _chosen(project: Project, names: Collection[str]) -> list[Integration]:
    known = {made.name: made for made in project.integrations}
    for name in names:
        if name not in known:
            raise Misconfigured(
                f"the project has no integration `{name}`{did_you_mean(name, list(known))}",
                fix=f"name one of: {', '.join(known) or 'none'}",
            )
    return [known[name] for name in names] or list(project.integrations)
