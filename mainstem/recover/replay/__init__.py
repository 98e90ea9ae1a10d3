"""Delivers a frozen range of a sink's topics again, into that one target, apart from the live worker: a plan first."""

from mainstem.recover.replay.effect import Manner, effect, manner_of
from mainstem.recover.replay.jobs import TOPIC, Job, JobState, Outcome, Rejection, find_job, planned, read_jobs
from mainstem.recover.replay.planning import Request, plan
from mainstem.recover.replay.ranges import Extent, Hole, Range, ReplayPlan
from mainstem.recover.replay.running import Deliver, keep, run

__all__ = [
    "TOPIC",
    "Deliver",
    "Extent",
    "Hole",
    "Job",
    "JobState",
    "Manner",
    "Outcome",
    "Range",
    "Rejection",
    "ReplayPlan",
    "Request",
    "effect",
    "find_job",
    "keep",
    "manner_of",
    "plan",
    "planned",
    "read_jobs",
    "run",
]
