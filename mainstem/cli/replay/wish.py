"""`mainstem replay pause` and `cancel`: from any terminal, whoever runs the replay."""

from __future__ import annotations

import asyncio
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_item
from mainstem.cli.replay.shown import status_row, tell_how_to_resume
from mainstem.recover.jobs import OBEYED_S
from mainstem.recover.replay import JOBS, JobState, part_of
from mainstem.recover.wishes import Wish

ReplayArgument = Annotated[str, typer.Argument(help="A replay's id.")]
WithinOption = Annotated[
    float,
    typer.Option(
        "--within", min=0, help="Seconds that the process which runs it has to obey; then it is taken from it."
    ),
]


@reports_errors
def pause(
    replay: ReplayArgument,
    within: WithinOption = OBEYED_S,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Stops a replay after the batch at hand, so that it can be resumed; also one whose process was killed."""
    _wish(Wish.PAUSE, replay, within, output, project)


@reports_errors
def cancel(
    replay: ReplayArgument,
    within: WithinOption = OBEYED_S,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Stops a replay for good, or forgets a plan. What it has delivered stays delivered."""
    _wish(Wish.CANCEL, replay, within, output, project)


def _wish(wish: Wish, replay: str, within_s: float, output: Format, project: Path) -> None:
    with open_services(project) as services:
        job = asyncio.run(JOBS.ask(services.config, replay, wish, getuser(), obeyed_within_s=within_s))
    if job.state is JobState.CANCELLED and job.plan.into is not None:
        part_of(Path(job.plan.into.path), job.id).unlink(missing_ok=True)
    say(f"replay {job.id} is {job.state}")
    tell_how_to_resume(job)
    show_item(status_row(job), output)
