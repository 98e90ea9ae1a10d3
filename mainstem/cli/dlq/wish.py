"""`mainstem dlq pause` and `cancel`: from any terminal, whoever runs the redrive."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from mainstem.cli.account import account_name
from mainstem.cli.dlq.rows import job_row
from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_item
from mainstem.recover.jobs import OBEYED_S
from mainstem.recover.redrive import JOBS
from mainstem.recover.wishes import Wish

RedriveArgument = Annotated[str, typer.Argument(help="A redrive's or drop's id.")]
WithinOption = Annotated[
    float,
    typer.Option("--within", min=0, help="Seconds that the process which runs it has to obey; then it is fenced."),
]


@reports_errors
def pause(
    redrive: RedriveArgument,
    within: WithinOption = OBEYED_S,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Stops a redrive after the transaction at hand, so that it can be resumed; also one whose process was killed."""
    _wish(Wish.PAUSE, redrive, within, output, project)


@reports_errors
def cancel(
    redrive: RedriveArgument,
    within: WithinOption = OBEYED_S,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Stops a redrive for good. What its sink has been given stays given; the other letters go on waiting."""
    _wish(Wish.CANCEL, redrive, within, output, project)


def _wish(wish: Wish, redrive: str, within_s: float, output: Format, project: Path) -> None:
    with open_services(project) as services:
        job = asyncio.run(JOBS.ask(services.config, redrive, wish, account_name(), obeyed_within_s=within_s))
    say(f"{job.deed} {job.id} is {job.state}")
    if not job.state.is_final:
        say(f"go on with: mainstem dlq {job.deed} --resume {job.id} --execute")
    show_item(job_row(job), output)
