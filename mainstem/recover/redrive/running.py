"""Carries a redrive out: gives letters to the sink's redrive topic, a transaction at a time.

Each transaction holds the letters and the job's new position, so whoever goes on after a crash sends none of them
again. Should a letter come twice all the same (two redrives of the same letters), its sink drops the second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Final

from mainstem.errors import PLAN_CHANGED, Refused
from mainstem.failpoint import failpoint
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.recover.held import HeldJob
from mainstem.recover.job_states import WISHED, Happening, JobState
from mainstem.recover.letterbox import Identity, Letter
from mainstem.recover.letters import read_contents, read_letters
from mainstem.recover.pace import Pace
from mainstem.recover.redrive.canary import canary_fault, canary_of, canary_silence
from mainstem.recover.redrive.job import JOBS, Job
from mainstem.recover.redrive.outcome import LOOK_EVERY_S, Outcome, Settled
from mainstem.recover.redrive.planning import Deed, RedrivePlan
from mainstem.recover.redrive.records import dropped_record, partition_counts, redriven_record
from mainstem.recover.wishes import Wish, Wishes

BATCH_RECORDS: Final = 500
"""Records of one transaction: all of them become visible to the sink, or none."""
CANARY_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one run is given besides its job."""

    topic: str
    """The sink's redrive topic."""
    canary_wait_s: float = CANARY_WAIT_S
    """How long the sink has to say what it makes of the canary."""
    on_progress: Callable[[Job], object] = lambda job: None


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that ended: its job as it is then, and the letters that this run gave to the sink."""

    job: Job
    letters: frozenset[Identity]


async def run(config: Mapping[str, Any], job: Job, wishes: Wishes, given: Run) -> Ended:
    """Runs the job to its end or to a wish, or on from where it stopped.

    Raises Refused (MS-402) when it is over already or its letters are no longer those of its plan, Fenced when somebody
    else has taken it over, Unreachable when Kafka does not confirm; it can be resumed then.
    """
    async with JOBS.hold(config, job.id) as held:
        redrive = _Redrive(config, held, wishes, given)
        await redrive.run()
    return Ended(held.job, frozenset(redrive.given))


def plan_changed(agreed_hash: str, now: RedrivePlan) -> Refused:
    """The error for a plan that is not true any more."""
    return Refused(
        f"plan {agreed_hash} of {now.dlq} no longer holds: {len(now.letters)} records wait now (plan {now.hash})",
        code=PLAN_CHANGED,
    )


class _Redrive:
    """One run."""

    def __init__(self, config: Mapping[str, Any], held: HeldJob[Job], wishes: Wishes, given: Run) -> None:
        self._config = config
        self._held = held
        self._wishes = wishes
        self._run = given
        self.given: set[Identity] = set()

    @property
    def job(self) -> Job:
        """What has been written down last."""
        return self._held.job

    async def run(self) -> None:
        letters = await self._begin()
        if self.job.is_a_canarys:
            letters = await self._send_canary(letters)
        if self.job.state is JobState.RUNNING:
            wish = await self._send_all(letters)
            await self._note(self.job.on(Happening.FINISH if wish is None else WISHED[wish]))

    async def _begin(self) -> list[Letter]:
        begun = self.job.on(Happening.BEGIN)
        box = await asyncio.to_thread(read_letters, self._config, self.job.dlq)
        if not self.job.has_begun:
            now = self.job.plan_now(box)
            if now.hash != self.job.plan:
                raise plan_changed(self.job.plan, now)
        left = self.job.left(box)
        self._partitions = await asyncio.to_thread(self._count_partitions, left)
        await self._note(begun)
        return left

    async def _send_canary(self, letters: Sequence[Letter]) -> list[Letter]:
        """The other letters. The job does not run any more when the canary failed, or something was wished."""
        first = canary_of(letters, self.job.terms.canary) if not self.job.canary_sent else []
        if first:
            await self._give(first, self.job.after_canary(first))
        settled, wish = await self._await_canary()
        fault = canary_fault(settled.sent, settled.failed_again)
        if fault is not None:
            await self._note(self.job.on(Happening.CANCEL, fault))
        elif wish is not None:
            await self._note(self.job.on(WISHED[wish]))
        elif settled.open:
            await self._note(self.job.on(Happening.FAIL, canary_silence(settled.open, settled.sent)))
        else:
            await self._note(self.job.passed())
        going = {letter.identity for letter in first}
        return [letter for letter in letters if letter.identity not in going]

    async def _await_canary(self) -> tuple[Settled, Wish | None]:
        deadline = monotonic() + self._run.canary_wait_s
        wanted = frozenset(self.job.canary_sent)
        with reading(self._config) as reader:
            outcome = Outcome(reader, self.job, wanted)
            while True:
                known = await asyncio.to_thread(outcome.look)
                wish = await self._wishes.within(self.job.id, LOOK_EVERY_S if known < len(wanted) else 0)
                if known >= len(wanted) or wish is not None or monotonic() > deadline:
                    return Settled(len(wanted), outcome.said), wish

    async def _send_all(self, letters: Sequence[Letter]) -> Wish | None:
        """What was wished meanwhile, or None when all is sent."""
        pace = Pace(self.job.terms.records_s)
        size = pace.batch(BATCH_RECORDS)
        for start in range(0, len(letters), size):
            batch = letters[start : start + size]
            await self._give(batch, self.job.after(batch))
            due_s = pace.due_s(len(batch)) if start + size < len(letters) else 0
            wish = await self._wishes.within(self.job.id, due_s)
            if wish is not None:
                return wish
        return None

    async def _give(self, letters: Sequence[Letter], job: Job) -> None:
        records = await asyncio.to_thread(self._records, letters)
        failpoint("redrive.before_commit")
        await self._note(job, records)
        failpoint("redrive.after_commit")
        self.given.update(letter.identity for letter in letters)

    async def _note(self, job: Job, records: Sequence[Record] = ()) -> None:
        await self._held.write(job, records)
        self._run.on_progress(job)

    def _records(self, letters: Sequence[Letter]) -> list[Record]:
        topic, redrive_id, terms = self._run.topic, self.job.id, self.job.terms
        if self.job.deed is Deed.DROP:
            return [
                dropped_record(letter, topic, redrive_id, self._partitions, who=terms.who, because=terms.because)
                for letter in letters
            ]
        with reading(self._config) as reader:
            contents = read_contents(reader, [letter.place for letter in letters])
        whole = [replace(letter, content=contents[letter.place]) for letter in letters]
        return [redriven_record(letter, topic, redrive_id, self._partitions) for letter in whole]

    def _count_partitions(self, letters: Sequence[Letter]) -> dict[str, int]:
        with reading(self._config) as reader:
            return partition_counts(reader, self._run.topic, {letter.origin.topic for letter in letters})
