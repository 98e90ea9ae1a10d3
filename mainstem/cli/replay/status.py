"""`mainstem replay status`."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstem.app.services import Services
from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, progress, show_item, show_rows
from mainstem.cli.replay.shown import rejections, status_row
from mainstem.recover.replay import JOBS, Job, JobState

COLUMNS = ("id", "into", "state", "records", "settled", "delivered", "rejected", "plan", "at", "error")


@reports_errors
def status(
    replay: Annotated[str, typer.Argument(help="A replay's id; all of them if left out.")] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until it does not run any more.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """How far replays are."""
    if watch and not replay:
        raise typer.BadParameter("name the replay to --watch")
    with open_services(project) as services:
        if not replay:
            jobs = sorted(JOBS.read(services.config).values(), key=lambda job: job.at, reverse=True)
            show_rows([status_row(job) for job in jobs], COLUMNS, output)
            return
        job = _watch(services, replay) if watch else JOBS.find(services.config, replay)
        show_item({**status_row(job), "positions": job.positions, "rejections": rejections(job)}, output)


def _watch(services: Services, replay: str) -> Job:
    """The job when it runs no more; a bar on a terminal meanwhile."""
    changes = (job for job in JOBS.follow(services.config, replay) if job is not None)
    job = next(changes)
    with progress("replaying", job.plan.records) as bar:
        while job.state is JobState.RUNNING:
            bar.update(bar.task_ids[0], completed=job.settled)
            job = next(changes)
    return job
