"""A group consumer for asyncio: one thread owns the client and makes every call on it; batches cross to the loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Generic, Self, TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from mainstem.errors import KAFKA_UNREACHABLE, MainstemError, Unreachable
from mainstem.event import Partition
from mainstem.kafka.failure import PASSING, failure

DEFAULTS: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "partition.assignment.strategy": "range",  # keeps a topic's and its redrive topic's partitions together
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 1_000,
    "max.poll.interval.ms": 300_000,
    "fetch.wait.max.ms": 20,  # the broker answers as soon as there is a byte; this bounds only an idle wait
    "fetch.error.backoff.ms": 50,
    "topic.metadata.refresh.interval.ms": 30_000,
    "allow.auto.create.topics": False,
    "queued.max.messages.kbytes": 65_536,  # what is fetched ahead, over all partitions
}
POLL_S = 0.05
CLOSE_S = 5.0
IDLE_PAUSE_S = 0.5
"""How long the loop may hold all credit before the partitions are paused: a pause drops what was fetched ahead."""
REVOKE_S = 20.0
"""How long a rebalance waits for the loop to finish what it has; after that the partitions are gone all the same."""


@dataclass(frozen=True)
class Assigned:
    """Partitions that are ours from now on. They wait, paused, until `start` says where to begin."""

    partitions: Sequence[Partition]


@dataclass(frozen=True)
class Revoked:
    """Partitions to leave. Call `left` when nothing of them is under way any more; the rebalance waits for it."""

    partitions: Sequence[Partition]
    lost: bool
    left: Callable[[], None] = field(repr=False)


@dataclass(frozen=True)
class Fetched:
    """Records in order within each partition. Call `done` once; it gives the consumer the room for as many more."""

    messages: Sequence[Message]
    generation: int
    done: Callable[[], None] = field(repr=False)


@dataclass(frozen=True)
class Failed:
    """The client reports an error that it does not mend by itself."""

    error: MainstemError


T = TypeVar("T")
Happening = Assigned | Revoked | Fetched | Failed


class GroupConsumer:
    """What happens to one member of a consumer group, as one ordered stream of values. Use as a context manager."""

    def __init__(
        self, config: Mapping[str, Any], group: str, topics: Sequence[str], *, batch: int = 5000, ahead: int = 2
    ) -> None:
        self._config = {**DEFAULTS, **config, "group.id": group}
        self._topics = list(topics)
        self._batch = batch
        self._credit = threading.BoundedSemaphore(ahead)
        self._commands: queue.SimpleQueue[_Command[Any]] = queue.SimpleQueue()
        self._held: set[Partition] = set()
        self._waiting: set[Partition] = set()
        self._stopped = threading.Event()
        self._closed = threading.Event()
        self._generation = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._happenings: asyncio.Queue[Happening | Exception | None] = asyncio.Queue()
        self._thread = threading.Thread(target=self._own, name=f"consumer-{self._config['group.id']}", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leaves the group. A rebalance that waits for the loop is told that nothing is under way any more.

        While Kafka does not answer a commit the client waits for it up to a minute: the thread is left to that.
        """
        self._stopped.set()
        deadline = monotonic() + CLOSE_S
        while self._thread.is_alive() and monotonic() < deadline:
            while not self._happenings.empty():
                happening = self._happenings.get_nowait()
                if isinstance(happening, Revoked):
                    happening.left()
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
        return partition in self._held

    async def hold(self, partitions: Collection[Partition]) -> None:
        """Stops fetching these; they wait for `start` as newly assigned ones do."""
        await self._ask(lambda consumer: self._hold(consumer, partitions))

    async def start(self, offsets: Mapping[Partition, int | None]) -> int:
        """Begins the waiting partitions at these offsets (None: where the group stands, or the beginning).

        Gives the generation from which on what is fetched of them counts; what comes of an earlier one is stale.
        """
        return await self._ask(lambda consumer: self._start(consumer, offsets))

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commits next offsets for the partitions that are still ours; others are left alone."""
        await self._ask(lambda consumer: self._commit(consumer, offsets))

    async def group_metadata(self) -> Any:
        """For `send_offsets_to_transaction`: take it anew for each transaction, a member's epoch moves silently."""
        return await self._ask(lambda consumer: consumer.consumer_group_metadata())

    async def committed(self, partitions: Collection[Partition]) -> dict[Partition, int | None]:
        """The group's committed next offsets; those of a transaction that is just ending are waited for."""
        asked = [TopicPartition(*partition) for partition in partitions]
        found = await self._ask(lambda consumer: consumer.committed(asked, timeout=10))
        return {Partition(tp.topic, tp.partition): None if tp.offset < 0 else tp.offset for tp in found}

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset that the partition still holds and the one after its last committed record."""
        return await self._ask(lambda consumer: consumer.get_watermark_offsets(TopicPartition(*partition), timeout=10))

    async def _ask(self, what: Callable[[Consumer], T]) -> T:
        command = _Command(what, self._loop)
        self._commands.put(command)
        if self._closed.is_set():
            self._refuse_commands()
        return await command.future

    def _refuse_commands(self) -> None:
        for command in _drained(self._commands):
            command.refuse(Unreachable("the consumer is closed", code=KAFKA_UNREACHABLE))

    # What follows runs in the consumer's own thread.

    def _own(self) -> None:
        consumer = Consumer(self._config)
        try:
            consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
            while not self._stopped.is_set():
                self._run_commands(consumer)
                if self._credit.acquire(timeout=0):
                    self._fetch(consumer)
                else:
                    self._wait_for_credit(consumer)
        except Exception as error:  # noqa: BLE001 - the thread's boundary: whoever listens is told
            self._tell(error)
        finally:
            consumer.close()
            self._closed.set()
            self._refuse_commands()

    def _run_commands(self, consumer: Consumer) -> None:
        for command in _drained(self._commands):
            command.run(consumer)

    def _fetch(self, consumer: Consumer) -> None:
        """Takes what is there. Asking for a whole batch at once would wait for it to fill, and cost latency."""
        got = consumer.consume(1, POLL_S)
        if got:
            got += consumer.consume(self._batch - 1, 0)
        messages = [message for message in got if message.error() is None]
        if len(messages) < len(got):
            self._note_errors(got)
        if messages:
            self._tell(Fetched(messages, self._generation, self._credit.release))
        else:
            self._credit.release()

    def _note_errors(self, got: Sequence[Message]) -> None:
        for message in got:
            error = message.error()
            if error is not None and not error.retriable() and error.code() not in PASSING:
                self._tell(Failed(failure(error, f"reading {', '.join(self._topics)}")))

    def _wait_for_credit(self, consumer: Consumer) -> None:
        """Keeps the membership while the loop is busy: first without touching the partitions, then with them paused."""
        deadline = monotonic() + IDLE_PAUSE_S
        while monotonic() < deadline and not self._stopped.is_set():
            self._run_commands(consumer)
            if self._credit.acquire(timeout=0.01):
                self._credit.release()
                return
        paused = self._running()
        consumer.pause(paused)
        while not self._stopped.is_set():
            self._run_commands(consumer)
            self._note_errors(consumer.consume(1, POLL_S))
            if self._credit.acquire(timeout=0):
                self._credit.release()
                break
        consumer.resume([tp for tp in paused if Partition(tp.topic, tp.partition) in self._held - self._waiting])

    def _running(self) -> list[TopicPartition]:
        return [TopicPartition(*partition) for partition in self._held - self._waiting]

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        consumer.pause(partitions)
        self._held = _as_set(partitions)
        self._waiting = set(self._held)
        self._tell(Assigned(sorted(self._held)))

    def _hold(self, consumer: Consumer, partitions: Collection[Partition]) -> None:
        running = [p for p in partitions if p in self._held - self._waiting]
        consumer.pause([TopicPartition(*p) for p in running])
        self._waiting.update(running)

    def _start(self, consumer: Consumer, offsets: Mapping[Partition, int | None]) -> int:
        self._generation += 1
        for partition, offset in offsets.items():
            if partition not in self._waiting:
                continue
            if offset is not None:
                consumer.seek(TopicPartition(partition.topic, partition.number, offset))
            consumer.resume([TopicPartition(*partition)])
            self._waiting.discard(partition)
        return self._generation

    def _commit(self, consumer: Consumer, offsets: Mapping[Partition, int]) -> None:
        mine = [TopicPartition(p.topic, p.number, offset) for p, offset in offsets.items() if p in self._held]
        if mine:
            consumer.commit(offsets=mine, asynchronous=True)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(consumer, partitions, lost=False)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(consumer, partitions, lost=True)

    def _leave(self, consumer: Consumer, partitions: list[TopicPartition], *, lost: bool) -> None:
        left = threading.Event()
        self._tell(Revoked(sorted(_as_set(partitions)), lost, left.set))
        deadline = monotonic() + (0 if lost else REVOKE_S)
        while not left.is_set() and monotonic() < deadline:
            self._run_commands(consumer)  # the loop may want to commit what it has just finished
            left.wait(0.01)
        self._held -= _as_set(partitions)
        self._waiting -= _as_set(partitions)
        consumer.unassign()

    def _tell(self, happening: Happening | Exception) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._happenings.put_nowait, happening)


def _as_set(partitions: Collection[TopicPartition]) -> set[Partition]:
    return {Partition(tp.topic, tp.partition) for tp in partitions}


class _Command(Generic[T]):
    """A call to be made in the consumer's thread, and the future that gets its result."""

    def __init__(self, what: Callable[[Consumer], T], loop: asyncio.AbstractEventLoop) -> None:
        self._what = what
        self._loop = loop
        self.future: asyncio.Future[T] = loop.create_future()

    def run(self, consumer: Consumer) -> None:
        try:
            result = self._what(consumer)
        except KafkaException as error:
            self.refuse(failure(error, "asking Kafka"))
        except Exception as error:  # noqa: BLE001 - it belongs to the one who asked, not to this thread
            self.refuse(error)
        else:
            self._loop.call_soon_threadsafe(self._succeed, result)

    def refuse(self, error: Exception) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _succeed(self, result: T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def _drained(commands: queue.SimpleQueue[_Command[Any]]) -> Iterator[_Command[Any]]:
    while True:
        try:
            yield commands.get_nowait()
        except queue.Empty:
            return
