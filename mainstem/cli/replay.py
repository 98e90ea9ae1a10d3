"""`mainstem replay`: a frozen range of a sink's topics once more into that sink, apart from the live worker."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mainstem.app.replay import replay_delivery
from mainstem.app.services import Services
from mainstem.cli.exit import PROBLEMS, reports_errors
from mainstem.cli.opened import HERE, ProjectOption, find_sink, open_services, part_of
from mainstem.cli.output import Format, FormatOption, progress, say, show_item, show_rows
from mainstem.cli.when import parse_place, parse_time
from mainstem.errors import PLAN_CHANGED, Refused
from mainstem.event import Partition
from mainstem.flow.retry import RetryPolicy
from mainstem.project.discover import build_sink
from mainstem.project.model import SinkSpec
from mainstem.recover import replay as replaying
from mainstem.recover.replay import Job, JobState, ReplayPlan

app = typer.Typer(help="Deliver a range of topics into one sink again: plan first, then run.", no_args_is_help=True)

DEFAULT_RATE = 5000.0
"""Records a second: a share that leaves a target room for its live load."""

SinkArgument = Annotated[str, typer.Argument(help="integration.sink")]
FromOption = Annotated[
    list[str] | None,
    typer.Option("--from", help="A time (RFC 3339 or -2h), or topic:partition:offset, repeatable. Inclusive."),
]
ToOption = Annotated[list[str] | None, typer.Option("--to", help="As --from; exclusive. Without it: up to now.")]
AllOption = Annotated[bool, typer.Option("--all", help="Everything that the topics hold.")]
EventTimeOption = Annotated[
    bool, typer.Option("--event-time", help="--from and --to are times of the events, not of their publishing.")
]
RateOption = Annotated[float, typer.Option("--rate", min=0, help="At most so many records a second; 0: no limit.")]
STATUS_COLUMNS = ("id", "sink", "state", "records", "settled", "delivered", "rejected", "plan", "at", "error")


@app.command()
@reports_errors
def plan(  # noqa: PLR0913 - these are the command's options
    sink: SinkArgument,
    *,
    from_: FromOption = None,
    to: ToOption = None,
    all_: AllOption = False,
    event_time: EventTimeOption = False,
    rate: RateOption = DEFAULT_RATE,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """What a replay would deliver, and what that does to the target. The plan is kept and can be run by its hash."""
    extent = read_extent(from_, to, everything=all_, by_event_time=event_time)
    with open_services(project) as services:
        job = _plan(services, sink, extent, rate)
        show_item(_described(job.plan), output)
        say(f"nothing was changed; run it with: mainstem replay run --plan {job.hash} --execute")


@app.command()
@reports_errors
def run(  # noqa: PLR0913 - these are the command's options
    sink: Annotated[str, typer.Argument(help="integration.sink; not with --plan or --resume.")] = "",
    *,
    from_: FromOption = None,
    to: ToOption = None,
    all_: AllOption = False,
    event_time: EventTimeOption = False,
    rate: RateOption = DEFAULT_RATE,
    plan: Annotated[str, typer.Option("--plan", help="Run this plan, by its hash.")] = "",
    resume: Annotated[str, typer.Option("--resume", help="Go on with this replay, by its id.")] = "",
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without it the plan is shown.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Runs a replay: a new one, one that was planned, or one that stopped."""
    if bool(sink) + bool(plan) + bool(resume) != 1:
        raise typer.BadParameter("name a sink, or a --plan, or a replay to --resume")
    extent = read_extent(from_, to, everything=all_, by_event_time=event_time) if sink else None
    with open_services(project) as services:
        if extent is not None:
            job = _plan(services, sink, extent, rate)
        else:
            job = _planned(services, plan) if plan else replaying.find_job(services.config, resume)
        if not execute:
            show_item(_described(job.plan), output)
            again = f"--resume {job.id}" if resume else f"--plan {job.hash}"
            say(f"nothing was changed; run it with: mainstem replay run {again} --execute")
            return
        _execute(services, job, output)


@app.command()
@reports_errors
def status(
    replay: Annotated[str, typer.Argument(help="A replay's id; all of them if left out.")] = "",
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """How far replays are."""
    with open_services(project) as services:
        if replay:
            job = replaying.find_job(services.config, replay)
            show_item({**_status(job), "positions": job.positions, "rejections": _rejections(job)}, output)
            return
        show_rows([_status(job) for job in replaying.read_jobs(services.config)], STATUS_COLUMNS, output)


def read_extent(
    from_: list[str] | None, to: list[str] | None, *, everything: bool, by_event_time: bool
) -> replaying.Extent:
    """What --from, --to, --all and --event-time mean together. Raises typer.BadParameter."""
    since, first = _bound(from_ or [], "--from")
    until, last = _bound(to or [], "--to")
    if everything == bool(from_ or to):
        raise typer.BadParameter("say what to replay: --from and --to, or --all")
    if (since or until) and (first or last):
        raise typer.BadParameter("give times or offsets, not both")
    if by_event_time and (since or until) is None:
        raise typer.BadParameter("--event-time needs a time in --from or --to")
    if since and until and since >= until:
        raise typer.BadParameter("--from is not before --to")
    return replaying.Extent(since, until, first, last, by_event_time)


def _bound(texts: list[str], option: str) -> tuple[Any, dict[Partition, int]]:
    places = [parse_place(text) for text in texts]
    offsets = {Partition(place.topic, place.partition): place.offset for place in places if place is not None}
    if texts and not offsets:
        if len(texts) > 1:
            raise typer.BadParameter(f"{option} takes one time")
        return parse_time(texts[0]), {}
    if None in places:
        raise typer.BadParameter(f"{option}: give times or offsets, not both")
    return None, offsets


def _plan(services: Services, part: str, extent: replaying.Extent, rate: float) -> Job:
    spec = find_sink(services.project, part)
    connector = build_sink(services.project, spec)
    request = replaying.Request(
        sink=part_of(spec),
        dlq=spec.dead_letters,
        topics=spec.topics,
        extent=extent,
        effect=replaying.effect(connector.guarantee, replaying.manner_of(connector)),
        records_s=rate or None,
    )
    job = replaying.planned(replaying.plan(services.config, request))
    asyncio.run(replaying.keep(services.config, job))
    return job


def _planned(services: Services, plan_hash: str) -> Job:
    """The planned replay of that hash. Raises Refused when there is none, or it has begun."""
    jobs = [job for job in replaying.read_jobs(services.config) if job.hash == plan_hash]
    for job in jobs:
        if job.state is JobState.PLANNED:
            return job
    if not jobs:
        raise Refused(f"there is no plan {plan_hash}", code=PLAN_CHANGED)
    raise Refused(
        f"plan {plan_hash} was run before, as replay {jobs[0].id}, which is {jobs[0].state.value}",
        code=PLAN_CHANGED,
        fix=f"make a new plan, or go on with that one: mainstem replay run --resume {jobs[0].id} --execute",
    )


def _execute(services: Services, job: Job, output: Format) -> None:
    spec = find_sink(services.project, job.plan.sink)
    say(f"replay {job.id}")
    try:
        done = asyncio.run(_replay(services, spec, job))
    except (Exception, KeyboardInterrupt):
        say(f"go on with: mainstem replay run --resume {job.id} --execute")
        raise
    say(f"{done.delivered} delivered, {done.rejected} rejected")
    show_item({**_status(done), "rejections": _rejections(done)}, output)
    if done.rejected:
        raise typer.Exit(PROBLEMS)


async def _replay(services: Services, spec: SinkSpec, job: Job) -> Job:
    retry = RetryPolicy(spec.delivery.retry.attempts, spec.delivery.retry.first_s, spec.delivery.retry.max_s)
    with progress("replaying", job.plan.records) as bar:
        async with replay_delivery(services, spec, job.id) as deliver:
            return await replaying.run(
                services.config,
                job,
                deliver,
                retry=retry,
                on_progress=lambda now: bar.update(bar.task_ids[0], completed=now.settled),
            )


def _described(plan: ReplayPlan) -> dict[str, Any]:
    minutes = plan.minutes
    return {
        "plan": plan.hash,
        "sink": plan.sink,
        "records": plan.records,
        "keys": f"more than {plan.keys}" if plan.keys_are_more else plan.keys,
        "minutes": None if minutes is None else round(minutes, 1),
        "records_a_second": plan.records_s,
        "event_time_from": plan.extent_since if plan.by_event_time else None,
        "event_time_to": plan.extent_until if plan.by_event_time else None,
        "ranges": [part._asdict() for part in plan.ranges],
        "holes": [hole._asdict() for hole in plan.holes],
        "waiting_in_dead_letters": plan.waiting,
        "effect": plan.effect,
    }


def _status(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "sink": job.plan.sink,
        "state": job.state,
        "records": job.plan.records,
        "settled": job.settled,
        "delivered": job.delivered,
        "rejected": job.rejected,
        "settled_before": job.settled_before,
        "plan": job.hash,
        "at": job.at,
        "error": job.error,
    }


def _rejections(job: Job) -> list[dict[str, Any]]:
    return [asdict(rejection) | {"origin": rejection.origin} for rejection in job.rejections]
