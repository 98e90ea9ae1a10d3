"""Plans and replays as the commands print them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mainstem.cli.output import say
from mainstem.recover.replay import Job, JobState, ReplayPlan

RESUMABLE = (JobState.RUNNING, JobState.PAUSED, JobState.STOPPED)


def described(plan: ReplayPlan) -> dict[str, Any]:
    """The whole plan."""
    minutes = plan.minutes
    return {
        "plan": plan.hash,
        "sink": plan.sink,
        "into": plan.into.path if plan.into else plan.sink,
        "records": plan.records,
        "keys": f"more than {plan.keys}" if plan.keys_are_more else plan.keys,
        "minutes": None if minutes is None else round(minutes, 1),
        "records_a_second": plan.records_s,
        "event_time_from": plan.extent_since if plan.by_event_time else None,
        "event_time_to": plan.extent_until if plan.by_event_time else None,
        "only_keys": plan.choice.keys,
        "only_where": plan.choice.where,
        "undecodable_and_left_out": plan.undecided,
        "ranges": [part._asdict() for part in plan.ranges],
        "holes": [hole._asdict() for hole in plan.holes],
        "waiting_in_dead_letters": plan.waiting,
        "effect": plan.effect,
    }


def status_row(job: Job) -> dict[str, Any]:
    """How far it is, in one line."""
    return {
        "id": job.id,
        "sink": job.plan.sink,
        "into": job.plan.into.path if job.plan.into else job.plan.sink,
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


def rejections(job: Job) -> list[dict[str, Any]]:
    """What the target refused, as far as the job lists it."""
    return [asdict(rejection) | {"origin": rejection.origin} for rejection in job.rejections]


def tell_how_to_resume(job: Job) -> None:
    """Says it where it can be resumed."""
    if job.state in RESUMABLE:
        say(f"go on with: mainstem replay run --resume {job.id} --execute")
