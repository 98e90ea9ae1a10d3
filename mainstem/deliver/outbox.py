"""Ships the letters that a target keeps to Kafka, each exactly once, beside the delivery and never in its way.

A letter's place in line is the offset of the record that it came from, which is ordered within a partition and
guarded by its epoch. One Kafka transaction holds a partition's letters and the last one's offset; a successor reads
that position after its `transactional.id` has fenced the one before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Self

import orjson

from mainstem.errors import Fenced, MainstemError
from mainstem.event import Partition
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.positions import POSITIONS, read_position
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.observe.bug import traceback_of
from mainstem.observe.logs import logger
from mainstem.sdk.sink import Letter, Target

log = logger("mainstem.deliver")

BEFORE_ALL = -1
POLICY = RetryPolicy(first_s=0.2, max_s=10.0)
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
        """The target may keep letters of these; they are shipped soon."""
        self._posted.update(dict.fromkeys(partitions))
        self._news.set()

    async def leave(self, partitions: Collection[Partition]) -> None:
        """Waits for what is being shipped and ships no more of partitions that are not ours any longer."""
        for partition in partitions:
            self._posted.pop(partition, None)
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

    async def _take(self, partition: Partition) -> None:
        async with self._turn:
            if partition in self._posted:
                del self._posted[partition]  # before it is shipped: what is posted meanwhile is news again
                await self._ship(partition)

    async def _ship(self, partition: Partition) -> None:
        """Ships whatever the target still keeps of the partition. Doing it again is always safe."""
        if not await self._target.letters(partition, self._shipped.get(partition, BEFORE_ALL)):
            return
        shipper = await self._shipper(partition)
        letters = await self._target.letters(partition, self._shipped[partition])
        if letters:
            await self._send(shipper, partition, letters)
        await self._target.forget_letters(partition, self._shipped[partition])

    async def _send(self, shipper: TransactionalProducer, partition: Partition, letters: Sequence[Letter]) -> None:
        last = letters[-1].offset
        records = [Record(letter.topic, letter.key, letter.value, letter.headers) for letter in letters]
        value = orjson.dumps({"offset": last, "topic_id": self._topic_id(partition.topic)})
        try:
            await shipper.commit([*records, Record(POSITIONS, self._key(partition).encode(), value)])
        except BaseException:
            # The outcome may be unknown: the next attempt begins with a new producer and reads the position anew.
            await self._close(partition)
            raise
        self._shipped[partition] = last

    async def _shipper(self, partition: Partition) -> TransactionalProducer:
        if partition not in self._shippers:
            stack = AsyncExitStack()
            producer = TransactionalProducer(self._config, f"mainstem.outbox.{self._key(partition)}")
            shipper = await stack.enter_async_context(producer)
            self._shippers[partition] = (shipper, stack)
            self._shipped[partition] = await self._position(partition)
        return self._shippers[partition][0]

    async def _close(self, partition: Partition) -> None:
        self._shipped.pop(partition, None)
        if partition in self._shippers:
            _, stack = self._shippers.pop(partition)
            await stack.aclose()

    async def _position(self, partition: Partition) -> int:
        said = await asyncio.to_thread(read_position, self._config, self._key(partition))
        if said is None or said.get("topic_id") != self._topic_id(partition.topic):
            return BEFORE_ALL
        return int(said["offset"])

    def _key(self, partition: Partition) -> str:
        return f"{self._name}.letters.{partition.topic}.{partition.number}"
