"""Ships the letters that a target keeps to Kafka, each exactly once, beside the delivery and never in its way.

A letter's place in line is the offset of the record that it came from, which is ordered within a partition and
guarded by its epoch. One Kafka transaction holds a partition's letters and the last one's offset; a successor reads
that position after its `transactional.id` has fenced the one before it.

Why a producer for each partition, and not one for the worker: partitions change hands one by one, and only the id that
a successor claims is fenced. With one id per worker a zombie that wakes after the successor has read the position would
ship the same letters again, and set the position back. Fencing by the group's generation (KIP-447) would do with one
producer, but it needs offsets in the group for each transaction, where a sink with transactions has its lag displayed
by offsets of another kind. So the ids stay, and what is slow about them is done together, beside the delivery: with the
first letter of any partition a producer is started for every partition at hand (a claim takes 4 ms of CPU), up to a
bound, and the positions of all are read at once after that (which costs by the length of the positions topic).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Self

import orjson

from mainstem.errors import Fenced, MainstemError
from mainstem.event import Partition
from mainstem.failpoint import failpoint
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.compacted import read_compacted
from mainstem.kafka.positions import POSITIONS
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.observe.bug import traceback_of
from mainstem.observe.logs import logger
from mainstem.sdk.sink import Letter, Target

log = logger("mainstem.deliver")

BEFORE_ALL = -1
POLICY = RetryPolicy(first_s=0.2, max_s=10.0)
AT_ONCE = 12
"""Producers that are started together; each has five threads of the library. More are started when they are needed."""
RETAKE_S = 2.0
"""After being fenced, while the partition is still ours: long enough for a zombie to hear that it has lost it."""
LAST_WORDS_S = 5.0
"""How long a worker that stops still ships; what is left is shipped by whoever takes the partition over."""


class Outbox:
    """The letters of one sink's worker. Use as a context manager; `post` says that a partition has some."""

    def __init__(
        self, config: Mapping[str, Any], name: str, target: Target, topic_id: Callable[[str], str | None]
    ) -> None:
        self._config = config
        self._name = name
        self._target = target
        self._topic_id = topic_id
        self._shippers: dict[Partition, tuple[TransactionalProducer, AsyncExitStack]] = {}
        self._shipped: dict[Partition, int] = {}
        self._posted: dict[Partition, None] = {}
        self._held: dict[Partition, None] = {}
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while self._posted or self._turn.locked():  # noqa: ASYNC110 - two conditions, no single event
                    await asyncio.sleep(0.01)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.leave(list(self._shippers))

    def post(self, partitions: Collection[Partition]) -> None:
        """The target may keep letters of these, which are ours; they are shipped soon."""
        self._held.update(dict.fromkeys(partitions))
        self._posted.update(dict.fromkeys(partitions))
        self._news.set()

    async def leave(self, partitions: Collection[Partition]) -> None:
        """Waits for what is being shipped and ships no more of partitions that are not ours any longer."""
        for partition in partitions:
            self._posted.pop(partition, None)
            self._held.pop(partition, None)
        async with self._turn:
            for partition in partitions:
                await self._close(partition)

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._news.wait()
            self._news.clear()
            for partition in list(self._posted):
                try:
                    await self._take(partition)
                    failures = 0
                except Fenced as error:
                    log.warning("letters are another worker's now", sink=self._name, cause=error.cause)
                    asyncio.get_running_loop().call_later(RETAKE_S, self._post_again, partition)
                except MainstemError as error:
                    failures += 1
                    log.warning("letters wait", sink=self._name, code=error.code.number, cause=error.cause)
                    self.post([partition])
                    await asyncio.sleep(POLICY.pause(failures))
                except Exception as error:  # noqa: BLE001 - the task's boundary: letters are never left lying
                    failures += 1
                    log.error("letters wait", sink=self._name, traceback=traceback_of(error))
                    self.post([partition])
                    await asyncio.sleep(POLICY.pause(failures))

    def _post_again(self, partition: Partition) -> None:
        if partition in self._held:
            self.post([partition])

    async def _take(self, partition: Partition) -> None:
        async with self._turn:
            if partition in self._posted:
                del self._posted[partition]  # before it is shipped: what is posted meanwhile is news again
                await self._ship(partition)

    async def _ship(self, partition: Partition) -> None:
        """Ships whatever the target still keeps of the partition. Doing it again is always safe."""
        if not await self._target.letters(partition, self._shipped.get(partition, BEFORE_ALL)):
            return
        if partition not in self._shipped:
            await self._start(partition)
        letters = await self._target.letters(partition, self._shipped[partition])
        if letters:
            await self._send(self._shippers[partition][0], partition, letters)
        await self._target.forget_letters(partition, self._shipped[partition])

    async def _send(self, shipper: TransactionalProducer, partition: Partition, letters: Sequence[Letter]) -> None:
        last = letters[-1].offset
        records = [Record(letter.topic, letter.key, letter.value, letter.headers) for letter in letters]
        value = orjson.dumps({"offset": last, "topic_id": self._topic_id(partition.topic)})
        try:
            failpoint("outbox.before_commit")
            await shipper.commit([*records, Record(POSITIONS, self._key(partition).encode(), value)])
            failpoint("outbox.after_commit")
        except BaseException:
            # The outcome may be unknown: the next attempt begins with a new producer and reads the position anew.
            await self._close(partition)
            raise
        self._shipped[partition] = last

    async def _start(self, partition: Partition) -> None:
        """Claims the ids of this partition and of the others at hand, then reads how far each of them has come."""
        others = [p for p in self._held if p != partition and p not in self._shippers]
        wanted = [partition, *others[: max(0, AT_ONCE - 1 - len(self._shippers))]]
        failures = await asyncio.gather(*map(self._claim, wanted), return_exceptions=True)
        if failures[0] is not None:
            raise failures[0]
        claimed = [p for p in wanted if p in self._shippers]
        positions = await asyncio.to_thread(read_compacted, self._config, POSITIONS)
        for owned in claimed:
            self._shipped[owned] = self._position(owned, positions.get(self._key(owned).encode()))

    async def _claim(self, partition: Partition) -> None:
        await self._close(partition)
        stack = AsyncExitStack()
        producer = TransactionalProducer(self._config, f"mainstem.outbox.{self._key(partition)}")
        self._shippers[partition] = (await stack.enter_async_context(producer), stack)

    async def _close(self, partition: Partition) -> None:
        self._shipped.pop(partition, None)
        if partition in self._shippers:
            _, stack = self._shippers.pop(partition)
            await stack.aclose()

    def _position(self, partition: Partition, value: bytes | None) -> int:
        said = None if value is None else orjson.loads(value)
        if said is None or said.get("topic_id") != self._topic_id(partition.topic):
            return BEFORE_ALL
        return int(said["offset"])

    def _key(self, partition: Partition) -> str:
        return f"{self._name}.letters.{partition.topic}.{partition.number}"
