"""`mainstem dlq status`."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstem.app.services import Services
from mainstem.cli.dlq.rows import JOB_COLUMNS, job_row
from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, progress, show_item, show_rows
from mainstem.recover import redrive as redriving
from mainstem.recover.redrive import JOBS, Job
from mainstem.recover.replay import JobState


@reports_errors
def status(
    redrive: Annotated[str, typer.Argument(help="A redrive's or drop's id; all of them if left out.")] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until it does not run any more.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """How far redrives and drops are, and what their sinks have made of the letters."""
    if watch and not redrive:
        raise typer.BadParameter("name the redrive to --watch")
    with open_services(project) as services:
        if not redrive:
            jobs = sorted(JOBS.read(services.config).values(), key=lambda job: job.at, reverse=True)
            show_rows([job_row(job) for job in jobs], JOB_COLUMNS, output)
            return
        job = _watch(services, redrive) if watch else JOBS.find(services.config, redrive)
        settled = redriving.await_outcome(services.config, job, timeout_s=0)
        show_item(job_row(job, settled), output)


def _watch(services: Services, redrive: str) -> Job:
    """The job when it runs no more; a bar on a terminal meanwhile."""
    changes = (job for job in JOBS.follow(services.config, redrive) if job is not None)
    job = next(changes)
    with progress(str(job.deed), job.letters) as bar:
        while job.state is JobState.RUNNING:
            bar.update(bar.task_ids[0], completed=job.sent)
            job = next(changes)
    return job
