"""Gives a sink its dead letters again, whole keys at a time, in order: a plan first, then transactions."""

from mainstem.recover.redrive.outcome import Settled, await_outcome
from mainstem.recover.redrive.planning import REDRIVE_CAP, LeftOut, RedrivePlan, plan
from mainstem.recover.redrive.running import (
    BATCH_RECORDS,
    Redriven,
    original_headers,
    plan_changed,
    redriven_record,
    run,
)

__all__ = [
    "BATCH_RECORDS",
    "REDRIVE_CAP",
    "LeftOut",
    "RedrivePlan",
    "Redriven",
    "Settled",
    "await_outcome",
    "original_headers",
    "plan",
    "plan_changed",
    "redriven_record",
    "run",
]
