"""Delivers a frozen range of a sink's topics again, into one target, apart from the live worker: a plan first."""

from mainstem.recover.job_states import Happening, JobState
from mainstem.recover.replay.choice import Choice, Sight
from mainstem.recover.replay.effect import Manner, effect, file_effect, manner_of
from mainstem.recover.replay.file import LinesFile, part_of
from mainstem.recover.replay.frozen import IntoFile, ReplayPlan
from mainstem.recover.replay.jobs import JOBS, TOPIC, Job, Outcome, Rejection, planned
from mainstem.recover.replay.planning import Request, plan
from mainstem.recover.replay.ranges import Extent, Hole, Range
from mainstem.recover.replay.running import Deliver, Into, Terms, run

__all__ = [
    "JOBS",
    "TOPIC",
    "Choice",
    "Deliver",
    "Extent",
    "Happening",
    "Hole",
    "Into",
    "IntoFile",
    "Job",
    "JobState",
    "LinesFile",
    "Manner",
    "Outcome",
    "Range",
    "Rejection",
    "ReplayPlan",
    "Request",
    "Sight",
    "Terms",
    "effect",
    "file_effect",
    "manner_of",
    "part_of",
    "plan",
    "planned",
    "run",
]
