"""Jobs of one kind as records of a compacted topic: found, followed, taken from whoever runs them.

A job is a value with an id and a state; each of its changes is one record, written in the transaction that makes it
true by whoever holds the job's `transactional.id`. Calls block but for `keep`, `ask` and `settle`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from mainstem.codec.message import Message
from mainstem.errors import Fenced, MainstemError, Misconfigured
from mainstem.kafka.compacted import read_compacted
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.recover.held import LAST_WORDS, HeldJob
from mainstem.recover.job_states import WISHED, Happening, JobState
from mainstem.recover.wishes import Wish, express

LOOK_EVERY_S: Final = 0.25
OBEYED_S: Final = 10.0
"""How long the process that runs a job is given to finish its transaction; after that the job is taken from it."""


class Job(Protocol):
    """What all kinds of jobs have."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> JobState: ...
    def on(self, happening: Happening, error: str | None = None) -> Self:
        """The job after that; itself where nothing changes. Raises Refused (MS-402) where it cannot happen."""


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Jobs(Generic[J]):
    """One kind of jobs, and how its records are written and read."""

    kind: str
    """`redrive`; in names and messages."""
    topic: str
    dump: Callable[[J], bytes | None]
    """None for one that is to be forgotten."""
    load: Callable[[bytes], J]
    seen_by: str
    """The command that lists them."""

    def record(self, job: J) -> Record:
        """The record that says where the job stands."""
        return Record(self.topic, job.id.encode(), self.dump(job))

    def transactional_id(self, job_id: str) -> str:
        """Whoever takes it over fences the one who ran the job before."""
        return f"mainstem.{self.kind}.{job_id}"

    async def keep(self, config: Mapping[str, Any], job: J) -> None:
        """Writes a new job down, so that it can be found by its id."""
        async with DurableProducer(config) as producer:
            await producer.send([self.record(job)])

    def find(self, config: Mapping[str, Any], job_id: str) -> J:
        """The job of that id as it really is; waits, if need be, until an open transaction has ended.

        Raises Misconfigured when there is none.
        """
        value = read_compacted(config, self.topic).get(job_id.encode())
        if value is None:
            raise Misconfigured(f"there is no {self.kind} {job_id}", fix=f"see `{self.seen_by}`")
        return self.load(value)

    def read(self, config: Mapping[str, Any]) -> dict[str, J]:
        """Every job that is known, by id.

        For a view: an open transaction of somebody who was killed hides the changes after it for a few seconds.
        """
        found: dict[str, J] = {}
        with reading(config) as reader:
            for messages in reader.read(reader.whole([self.topic])):
                for message in messages:
                    self._note(found, message)
        return found

    def follow(self, config: Mapping[str, Any], job_id: str, *, every_s: float = LOOK_EVERY_S) -> Iterator[J | None]:
        """The job as it is, then after every look what has become of it, or None where nothing has.

        Raises Misconfigured when there is no such job.
        """
        with reading(config) as reader:
            at = {partition: end for partition, (_, end) in reader.whole([self.topic]).items()}
            yield self.find(config, job_id)
            while True:
                found: dict[str, J] = {}
                ends = {partition: reader.bounds(partition)[1] for partition in at}
                for messages in reader.read({p: (start, ends[p]) for p, start in at.items()}):
                    for message in messages:
                        self._note(found, message)
                at = ends
                yield found.get(job_id)
                sleep(every_s)

    async def ask(
        self, config: Mapping[str, Any], job_id: str, wish: Wish, who: str, *, obeyed_within_s: float = OBEYED_S
    ) -> J:
        """Makes it so, and gives the job as it is then.

        The process that runs it is asked first. One that does not obey in time was killed, or hangs: it is fenced.
        Raises Refused (MS-402) when the job is over, Misconfigured when there is none; Unreachable.
        """
        job = await asyncio.to_thread(self.find, config, job_id)
        job.on(WISHED[wish])
        if job.state is JobState.RUNNING:
            await express(config, job_id, wish, who)
            obeyed = await asyncio.to_thread(self._await_end, config, job_id, obeyed_within_s)
            if obeyed is not None:
                return obeyed
        return await self.settle(config, job_id, WISHED[wish])

    @asynccontextmanager
    async def hold(self, config: Mapping[str, Any], job_id: str) -> AsyncIterator[HeldJob[J]]:
        """Takes the job from whoever has it, and gives it as it was last written down.

        It is read after its former runner is fenced, so that it cannot move any more. What ends the block early, other
        than another process that has taken the job, is written down as the reason why it stopped.
        Raises Misconfigured when there is no such job; Unreachable.
        """
        async with TransactionalProducer(config, self.transactional_id(job_id)) as producer:
            look = partial(self.find, config, job_id)
            held = HeldJob(await asyncio.to_thread(look), producer, look, self.record)
            try:
                yield held
            except Fenced:
                raise
            except (MainstemError, asyncio.CancelledError) as error:
                said = str(error) if isinstance(error, MainstemError) else "interrupted"
                with suppress(MainstemError):  # the reason for stopping is the one to tell
                    await held.write(held.job.on(Happening.FAIL, said), patience=LAST_WORDS)
                raise

    async def settle(self, config: Mapping[str, Any], job_id: str, happening: Happening) -> J:
        """Takes the job from whoever has it, and lets that happen to it. Raises as `ask` does."""
        async with self.hold(config, job_id) as held:
            changed = held.job.on(happening)
            if changed is not held.job:
                await held.write(changed)
        return changed

    def _await_end(self, config: Mapping[str, Any], job_id: str, within_s: float) -> J | None:
        """The job when it is not running any more, or None when the time is up."""
        deadline = monotonic() + within_s
        for job in self.follow(config, job_id):
            if job is not None and job.state is not JobState.RUNNING:
                return job
            if monotonic() > deadline:
                break
        return None

    def _note(self, found: dict[str, J], message: Message) -> None:
        job_id, value = (message.key() or b"").decode(), message.value()
        if value is None:
            found.pop(job_id, None)
        else:
            found[job_id] = self.load(value)
