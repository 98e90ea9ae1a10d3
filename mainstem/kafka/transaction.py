"""A transactional producer: a list of records, and optionally consumed offsets, become visible together or not at all.

`transaction_state` decides what each failure means, `transaction_calls` talks to the library, `transaction_run` brings
the two together; this is the producer as asyncio sees it, with what its owner may assume.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self, TypeVar

from confluent_kafka import KafkaException

from mainstem.errors import KAFKA_UNREACHABLE, Fenced, MainstemError, Misconfigured, Rejected, Unreachable
from mainstem.event import Partition
from mainstem.kafka.failure import MEMBERSHIP_LOST, failure
from mainstem.kafka.record import Record
from mainstem.kafka.transaction_calls import Failed, Instance, settings
from mainstem.kafka.transaction_run import Ask, Patience, perform
from mainstem.kafka.transaction_state import OPENED, Call, Outcome, Standing, State, Told

CLOSE_S: Final = 2.0
"""How long leaving waits for a call that is under way. What is left then ends by itself."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Work:
    """What one transaction is to make visible."""

    records: Sequence[Record]
    offsets: Mapping[Partition, int] | None
    group: Any


class TransactionalProducer:
    """One owner of one `transactional.id`. All calls run in a thread of its own, in order. Use as a context manager.

    Entering claims the id: it fences whoever used it before and settles what that one left open. Read positions after
    that, not before. A call that is cancelled has an unknown outcome, as has one that raises Unreachable.
    """

    def __init__(self, config: Mapping[str, Any], transactional_id: str) -> None:
        """`transaction.timeout.ms` (10 s) may be among `config`: a call gives up soon after that time."""
        self._config = settings(config, transactional_id)
        self._id = transactional_id
        self._standing = Standing()
        self._turn = asyncio.Lock()
        self._patience = self._patience_anew()
        self._instance: Instance | None = None  # touched by the thread only

    @property
    def state(self) -> State:
        """READY: `commit` will do its work. SPENT or FENCED: it will not, before `renew`."""
        return self._standing.state

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"txn-{self._id}")
        try:
            await self.renew()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._standing = Standing(State.FENCED)
        self._patience.left.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._run(self._close)
        finally:
            self._thread.shutdown(wait=False)

    async def renew(self) -> None:
        """Claims the id anew if the producer is SPENT or FENCED; does nothing while it is READY.

        For whoever owns the work by another's word (a consumer group's, for one), before the position is read: what
        was under way is settled when this returns, and nothing of it becomes visible later.
        Raises Unreachable, Fenced when another one claims the id at the same time, or Misconfigured.
        """
        async with self._turn:
            if self._standing.state is not State.READY:
                await self._claim()

    async def commit(
        self, records: Sequence[Record], offsets: Mapping[Partition, int] | None = None, group: Any = None
    ) -> None:
        """One transaction. `offsets` are the next offsets to read, committed for the consumer group's metadata `group`.

        Raises
        - Fenced without partitions: another producer has the id, or Kafka aborted the transaction for its age. Leave.
          It is raised from then on, without asking Kafka.
        - Fenced with the partitions of `offsets`: the group has given them to others. Nothing was written, and the
          producer is as good as before.
        - Rejected: nothing was written, and would not be next time.
        - Misconfigured, Unreachable: nothing was written, or that is not known. The position must be read anew. Where
          the instance could not be kept, the next call only claims the id and raises Unreachable, since what it was to
          write was chosen before that; `renew` spares that call.
        """
        async with self._turn:
            if self._standing.state is State.FENCED:
                raise Fenced(f"{self._id} belongs to another producer, or was left")
            if self._standing.state is not State.READY:
                await self._claim()
                raise Unreachable(
                    f"{self._id} was claimed anew, its position has to be read again", code=KAFKA_UNREACHABLE
                )
            await self._transact(_Work(records, offsets, group))

    async def _transact(self, work: _Work) -> None:
        self._standing = Standing(State.SPENT, Outcome.UNKNOWN)  # for one who is cancelled, and never hears the end
        try:
            standing, failed = await self._run(partial(self._attempt, work, self._patience))
        except asyncio.CancelledError:
            self._patience.left.set()
            raise
        self._standing = standing
        if standing.outcome is not Outcome.COMMITTED and failed is not None:
            raise self._said(standing, failed, work)

    async def _claim(self) -> None:
        self._patience.left.set()
        self._patience = self._patience_anew()
        standing, failed = await self._run(partial(self._replace, self._standing, self._patience))
        self._standing = standing
        if failed is not None:
            raise self._said(standing, failed, None)

    def _replace(self, now: Standing, patience: Patience) -> tuple[Standing, Failed | None]:
        self._close()
        try:
            self._instance = Instance(self._config)
        except KafkaException as error:
            return now, Failed(Call.CLAIM, Told.FATAL, error.args[0])
        return perform(now, [(Call.CLAIM, self._instance.claim)], self._instance.abort, patience)

    def _attempt(self, work: _Work, patience: Patience) -> tuple[Standing, Failed | None]:
        instance = self._instance
        assert instance is not None  # noqa: S101 - a producer that is READY has one
        return perform(OPENED, _calls(instance, work, patience.seconds), instance.abort, patience)

    def _patience_anew(self) -> Patience:
        return Patience(self._config["transaction.timeout.ms"] / 1000)

    def _close(self) -> None:
        if self._instance is not None:
            instance, self._instance = self._instance, None
            instance.close()

    def _said(self, standing: Standing, failed: Failed, work: _Work | None) -> MainstemError:
        told = failure(failed.error, f"{failed.call} as {self._id}")
        if failed.told is Told.FENCED:
            return Fenced(told.cause)
        if failed.error.code() in MEMBERSHIP_LOST and work is not None:
            return Fenced(told.cause, partitions=work.offsets or ())
        if isinstance(told, Misconfigured):
            return told
        if standing.outcome is Outcome.UNKNOWN and work is not None:
            return Unreachable(f"{told.cause}; {standing.outcome}", code=KAFKA_UNREACHABLE)
        if isinstance(told, (Rejected, Unreachable)):
            return told
        return Unreachable(told.cause, code=KAFKA_UNREACHABLE)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _calls(instance: Instance, work: _Work, offsets_s: float) -> Iterator[tuple[Call, Ask]]:
    yield Call.BEGIN, instance.begin
    if work.records:
        yield Call.WRITE, lambda _: instance.write(work.records)
        yield Call.FLUSH, instance.flush
    if work.offsets:
        offsets = work.offsets
        yield Call.OFFSETS, lambda _: instance.offsets(offsets, work.group, offsets_s)
    yield Call.COMMIT, instance.commit
