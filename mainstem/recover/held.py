"""A job in the hands of the process that runs it. Nobody else writes it down meanwhile, and nobody forgets it.

Its `transactional.id` says whose it is. A transaction that took long, or whose outcome is not known, costs the producer
that name (see `mainstem.kafka.transaction_state`), and it has to be claimed anew, from whoever has it by then. So the
job's record is looked at before and after: it still says what was written last, or what was to be written next, or the
job has gone to somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from mainstem.errors import Fenced, Unreachable
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.record import Record
from mainstem.kafka.transaction_state import State

PATIENCE: Final = RetryPolicy(attempts=8, first_s=0.2, max_s=10.0)
"""A broker that is away for a while ends no job."""
LAST_WORDS: Final = RetryPolicy(attempts=2, first_s=0.2)
"""For the reason why a job ends, which is known to its owner in any case."""

J = TypeVar("J")


class Producer(Protocol):
    """Has the job's `transactional.id`; see TransactionalProducer."""

    @property
    def state(self) -> State: ...

    async def commit(self, records: Sequence[Record]) -> None: ...

    async def renew(self) -> None: ...


class HeldJob(Generic[J]):
    """`job` is what is to be written down next, or has been."""

    def __init__(self, job: J, producer: Producer, look: Callable[[], J], record: Callable[[J], Record]) -> None:
        """`look` blocks, and reads the job as it really is; `record` says where it stands."""
        self.job = job
        self._written = job
        self._producer = producer
        self._look = look
        self._record = record

    async def write(self, job: J, records: Sequence[Record] = (), *, patience: RetryPolicy = PATIENCE) -> None:
        """Writes the job down, in one transaction with the records.

        Raises Fenced when the job is somebody else's now, Unreachable when Kafka stays away, or what Kafka refuses:
        Misconfigured, Rejected.
        """
        failures = 0
        while True:
            try:
                if await self._is_written(job):
                    break
                await self._producer.commit([*records, self._record(job)])
                break
            except Unreachable as error:
                failures += 1
                if patience.is_exhausted(failures):
                    raise
                await asyncio.sleep(patience.pause(failures, wish_s=error.after_s))
        self.job = self._written = job

    async def _is_written(self, job: J) -> bool:
        """Whether an earlier attempt has written it. The producer is as good as new then."""
        if self._producer.state is not State.SPENT:
            return False
        # Looked at before the claim, so that one who was asleep for long does not fence his successor; and after it,
        # when nothing of what was under way can come any more.
        self._check(await asyncio.to_thread(self._look), job)
        await self._producer.renew()
        stands = await asyncio.to_thread(self._look)
        self._check(stands, job)
        return stands == job

    def _check(self, stands: J, job: J) -> None:
        if stands not in (self._written, job):
            raise Fenced("somebody else has gone on with the job")
