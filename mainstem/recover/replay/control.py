"""Pauses or cancels a replay, whoever runs it, and also when nobody does any more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from mainstem.kafka.transaction import TransactionalProducer
from mainstem.recover.job_states import WISHED, Happening, JobState
from mainstem.recover.replay.jobs import Job, record_of
from mainstem.recover.replay.records import find_job, follow
from mainstem.recover.replay.running import transactional_id
from mainstem.recover.wishes import Wish, express

OBEYED_S: Final = 10.0
"""How long the process that runs a replay is given to finish its batch; after that the replay is taken from it."""


async def ask(
    config: Mapping[str, Any], job_id: str, wish: Wish, who: str, *, obeyed_within_s: float = OBEYED_S
) -> Job:
    """Makes it so, and gives the job as it is then.

    The process that runs it is asked first. One that does not obey in time was killed, or hangs: it is fenced, and what
    it has under way may still reach the target, which a resumed replay then finds there.

    Raises Refused (MS-402) when the replay is over, or was never begun and is to be paused; Misconfigured when there is
    none; Unreachable.
    """
    job = await asyncio.to_thread(find_job, config, job_id)
    job.on(WISHED[wish])
    if job.state is JobState.RUNNING:
        await express(config, job_id, wish, who)
        obeyed = await asyncio.to_thread(_await_change, config, job_id, obeyed_within_s)
        if obeyed is not None:
            return obeyed
    return await settle(config, job_id, WISHED[wish])


async def settle(config: Mapping[str, Any], job_id: str, happening: Happening) -> Job:
    """Takes the replay from whoever has it, and lets that happen to it. Raises as `ask` does."""
    async with TransactionalProducer(config, transactional_id(job_id)) as producer:
        job = await asyncio.to_thread(find_job, config, job_id)
        changed = job.on(happening)
        if changed is not job:
            await producer.commit([record_of(changed)])
    return changed


def _await_change(config: Mapping[str, Any], job_id: str, within_s: float) -> Job | None:
    """The job when it is not running any more, or None when the time is up."""
    deadline = monotonic() + within_s
    for job in follow(config, job_id):
        if job is not None and job.state is not JobState.RUNNING:
            return job
        if monotonic() > deadline:
            return None
    return None
