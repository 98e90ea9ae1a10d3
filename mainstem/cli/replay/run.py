"""`mainstem replay run`."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from mainstem.app.replay import sight_of
from mainstem.app.services import Services
from mainstem.cli.decoded import REVEALED, RevealOption
from mainstem.cli.exit import PROBLEMS, reports_errors
from mainstem.cli.opened import HERE, ProjectOption, find_sink, open_services
from mainstem.cli.output import Format, FormatOption, progress, say, show_item
from mainstem.cli.replay.asked import (
    DEFAULT_RATE,
    AllOption,
    EventTimeOption,
    FromOption,
    IntoOption,
    KeyOption,
    RateOption,
    ToOption,
    WhereOption,
    make_plan,
    read_asked,
)
from mainstem.cli.replay.into import opened_target
from mainstem.cli.replay.shown import described, rejections, status_row, tell_how_to_resume
from mainstem.errors import PLAN_CHANGED, Refused
from mainstem.flow.retry import RetryPolicy
from mainstem.recover import replay as replaying
from mainstem.recover.replay import JOBS, Job, JobState
from mainstem.recover.wishes import Wish, Wishes


@reports_errors
def run(  # noqa: PLR0913 - these are the command's options
    sink: Annotated[str, typer.Argument(help="integration.sink; not with --plan or --resume.")] = "",
    *,
    from_: FromOption = None,
    to: ToOption = None,
    all_: AllOption = False,
    event_time: EventTimeOption = False,
    key: KeyOption = None,
    where: WhereOption = None,
    into: IntoOption = None,
    reveal: RevealOption = False,
    rate: RateOption = DEFAULT_RATE,
    plan: Annotated[str, typer.Option("--plan", help="Run this plan, by its hash.")] = "",
    resume: Annotated[str, typer.Option("--resume", help="Go on with this replay, by its id.")] = "",
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without it the plan is shown.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Runs a replay: a new one, one that was planned, or one that stopped. Ctrl-C pauses it."""
    if bool(sink) + bool(plan) + bool(resume) != 1:
        raise typer.BadParameter("name a sink, or a --plan, or a replay to --resume")
    if not sink and (from_ or to or all_ or event_time or key or where or into or reveal):
        raise typer.BadParameter("what is replayed, and where to, is settled by the plan")
    asked = None
    if sink:
        asked = read_asked(
            from_, to, all_=all_, event_time=event_time, key=key, where=where, into=into, reveal=reveal, rate=rate
        )
    with open_services(project) as services:
        if asked is not None:
            job = make_plan(services, sink, asked)
        else:
            job = _planned(services, plan) if plan else JOBS.find(services.config, resume)
        if not execute:
            show_item(described(job.plan), output)
            again = f"--resume {job.id}" if resume else f"--plan {job.hash}"
            say(f"nothing was changed; run it with: mainstem replay run {again} --execute")
            return
        _execute(services, job, output)


def _planned(services: Services, plan_hash: str) -> Job:
    """The planned replay of that hash. Raises Refused when there is none, or it has begun."""
    known = sorted(JOBS.read(services.config).values(), key=lambda job: job.at, reverse=True)
    jobs = [job for job in known if job.hash == plan_hash]
    for job in jobs:
        if job.state is JobState.PLANNED:
            return job
    if not jobs:
        raise Refused(f"there is no plan {plan_hash}", code=PLAN_CHANGED)
    go_on = "" if jobs[0].state.is_final else f", or go on with that one: mainstem replay run --resume {jobs[0].id}"
    raise Refused(
        f"plan {plan_hash} was run before, as replay {jobs[0].id}, which is {jobs[0].state.value}",
        code=PLAN_CHANGED,
        fix=f"make a new plan{go_on}",
    )


def _execute(services: Services, job: Job, output: Format) -> None:
    say(f"replay {job.id}")
    if job.plan.into is not None and job.plan.into.reveal:
        say(REVEALED)
    interruptions: list[int] = []
    try:
        ended = asyncio.run(_replay(services, job, interruptions))
    except asyncio.CancelledError:
        say(f"go on with: mainstem replay run --resume {job.id} --execute")
        raise typer.Exit(128 + interruptions[0]) from None
    except (Exception, KeyboardInterrupt):
        say(f"go on with: mainstem replay run --resume {job.id} --execute")
        raise
    say(f"replay {ended.id} is {ended.state}: {ended.delivered} delivered, {ended.rejected} rejected")
    tell_how_to_resume(ended)
    show_item({**status_row(ended), "rejections": rejections(ended)}, output)
    if interruptions and not ended.state.is_final:
        raise typer.Exit(128 + interruptions[0])
    if ended.rejected or ended.state is not JobState.DONE:
        raise typer.Exit(PROBLEMS)


async def _replay(services: Services, job: Job, interruptions: list[int]) -> Job:
    with progress("replaying", job.plan.records) as bar:
        terms = replaying.Terms(
            sight=sight_of(services),
            retry=_retry(services, job),
            on_progress=lambda now: bar.update(bar.task_ids[0], completed=now.settled),
        )
        async with Wishes(services.config) as wishes, opened_target(services, job) as into:
            _pause_on_signals(job, wishes, interruptions)
            return await replaying.run(services.config, job, into, wishes, terms)


def _retry(services: Services, job: Job) -> RetryPolicy:
    policy = find_sink(services.project, job.plan.sink).delivery.retry
    return RetryPolicy(policy.attempts, policy.first_s, policy.max_s)


def _pause_on_signals(job: Job, wishes: Wishes, interruptions: list[int]) -> None:
    """The first Ctrl-C or SIGTERM pauses after the batch at hand; the second breaks it off."""
    loop, running = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt(number: int) -> None:
        interruptions.append(number)
        if len(interruptions) == 1:
            say("pausing after the batch at hand; once more to break it off")
            wishes.note(job.id, Wish.PAUSE)
        elif running is not None:
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt, number)
