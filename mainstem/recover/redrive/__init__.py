"""Gives a sink its dead letters again, whole keys at a time, or has it drop some: a plan first, then a job."""

from mainstem.recover.redrive.canary import canary_of
from mainstem.recover.redrive.job import JOBS, TOPIC, Job, Terms, planned
from mainstem.recover.redrive.outcome import Outcome, Settled, await_outcome
from mainstem.recover.redrive.planning import REDRIVE_CAP, Deed, LeftOut, RedrivePlan, plan, plan_drop
from mainstem.recover.redrive.records import dropped_record, original_headers, redriven_record
from mainstem.recover.redrive.running import BATCH_RECORDS, CANARY_WAIT_S, Ended, Run, plan_changed, run

__all__ = [
    "BATCH_RECORDS",
    "CANARY_WAIT_S",
    "JOBS",
    "REDRIVE_CAP",
    "TOPIC",
    "Deed",
    "Ended",
    "Job",
    "LeftOut",
    "Outcome",
    "RedrivePlan",
    "Run",
    "Settled",
    "Terms",
    "await_outcome",
    "canary_of",
    "dropped_record",
    "original_headers",
    "plan",
    "plan_changed",
    "plan_drop",
    "planned",
    "redriven_record",
    "run",
]
