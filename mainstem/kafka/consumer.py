"""A group consumer for asyncio: one thread owns the client and makes every call on it; batches cross to the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Self, TypeVar

from confluent_kafka import Consumer, TopicPartition

from mainstem.errors import Fenced, Retryable
from mainstem.event import Partition
from mainstem.kafka.attendance import Attendance
from mainstem.kafka.command import Commands
from mainstem.kafka.gap import first_to_read
from mainstem.kafka.happening import Assigned, Failed, Fetched, Happening, Revoked
from mainstem.kafka.membership import member_settings
from mainstem.kafka.places import places
from mainstem.kafka.position import Position

__all__ = ["Assigned", "Failed", "Fetched", "GroupConsumer", "Happening", "Revoked"]

BATCH_BYTES = 8 << 20
POSITIONS_S = 30.0
CLOSE_S = 5.0
RETRY_S = 0.1

T = TypeVar("T")


class GroupConsumer:
    """What happens to one member of a consumer group, as one ordered stream of values. Use as a context manager.

    A batch has at most `batch` records and about `batch_bytes` of them, a single record being always allowed; at most
    `ahead` batches are out at a time.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        group: str,
        topics: Sequence[str],
        *,
        batch: int = 5000,
        batch_bytes: int = BATCH_BYTES,
        ahead: int = 2,
    ) -> None:
        self._commands = Commands()
        self._attendance = Attendance(
            member_settings(config, group), topics, (batch, batch_bytes), ahead, self._commands, self._tell
        )
        self._name = f"consumer-{group}"

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._happenings: asyncio.Queue[Happening | Exception | None] = asyncio.Queue()
        self._thread = threading.Thread(target=self._attendance.run, name=self._name, daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leaves the group: nothing is under way any more.

        While Kafka does not answer a commit the client waits for it up to a minute: the thread is left to that.
        """
        self._attendance.stopped.set()
        deadline = monotonic() + CLOSE_S
        while self._thread.is_alive() and monotonic() < deadline:  # noqa: ASYNC110 - a thread's end is no event
            await asyncio.sleep(0.01)

    async def happenings(self) -> AsyncIterator[Happening]:
        """What happens, in order, until `leave` is called and what had happened before that is handed out."""
        while (happening := await self._happenings.get()) is not None:
            if isinstance(happening, Exception):
                raise happening
            yield happening

    def leave(self) -> None:
        """Lets `happenings` end."""
        self._happenings.put_nowait(None)

    def announce(self, assigned: Assigned) -> None:
        """Puts a word of the loop's own into the line: partitions to be taken over anew."""
        self._happenings.put_nowait(assigned)

    def holds(self, partition: Partition) -> bool:
        """Whether the group gives us the partition now, as far as this member knows."""
        return partition in self._attendance.holdings

    async def hold(self, partitions: Collection[Partition]) -> None:
        """Stops fetching these; they wait for `start` as newly assigned ones do."""
        await self._commands.ask(lambda consumer: self._attendance.hold(consumer, partitions))

    async def start(self, offsets: Mapping[Partition, int]) -> int:
        """Begins the waiting partitions at these offsets.

        Gives the generation from which on what is fetched of them counts; what comes of an earlier one is stale. An
        offset that Kafka does not hold any more is a Failed (MS-211), and the group is joined anew.
        """
        return await self._commands.ask(lambda consumer: self._attendance.start(consumer, offsets))

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commits next offsets for the partitions that are still ours; others are left alone."""
        await self._commands.ask(lambda consumer: self._attendance.commit(consumer, offsets))

    async def group_metadata(self, partitions: Collection[Partition]) -> Any:
        """For `send_offsets_to_transaction` of these: take it anew each time, a member's epoch moves silently.

        Raises Fenced when one of them is not ours any more: with the epoch of the assignment after that one, Kafka
        would take its offset all the same.
        """

        def ask(consumer: Consumer) -> Any:
            gone = [partition for partition in partitions if partition not in self._attendance.holdings]
            if gone:
                raise Fenced("the group has given partitions to another worker", partitions=gone)
            return consumer.consumer_group_metadata()

        return await self._commands.ask(ask)

    async def committed(self, partitions: Collection[Partition]) -> dict[Partition, Position | None]:
        """The group's committed next offsets; those of a transaction that is just ending are waited for."""
        asked = places(partitions)
        found = await self._commands.ask(lambda consumer: consumer.committed(asked, timeout=10))
        return {
            Partition(tp.topic, tp.partition): None if tp.offset < 0 else Position(tp.offset, tp.metadata or "")
            for tp in found
        }

    async def positions(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Where the group stands, to be started from; where it stands nowhere, the beginning.

        Raises Misconfigured (MS-211) where Kafka does not hold it.
        """
        found = await _in_time(lambda: self.committed(partitions))
        bounds = {p: await _in_time(partial(self.bounds, p)) for p in found}
        return {p: first_to_read(p, position, bounds[p]) for p, position in found.items()}

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset that the partition still holds and the one after its last committed record."""
        place = TopicPartition(*partition)
        return await self._commands.ask(lambda consumer: consumer.get_watermark_offsets(place, timeout=10))

    def _tell(self, happening: Happening | Exception) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._happenings.put_nowait, happening)


async def _in_time(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """A coordinator or a leader that has just moved, or is busy, may need longer than one question waits."""
    deadline = monotonic() + POSITIONS_S
    while True:
        try:
            return await ask()
        except Retryable:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(RETRY_S)
