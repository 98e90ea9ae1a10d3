"""A group consumer for asyncio: one thread owns the client and makes every call on it; batches cross to the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from mainstem.errors import Fenced, MainstemError, Retryable
from mainstem.event import Partition
from mainstem.kafka.command import Commands
from mainstem.kafka.failure import PASSING, failure
from mainstem.kafka.gap import check_position, gap
from mainstem.kafka.happening import Assigned, Failed, Fetched, Happening, Revoked
from mainstem.kafka.holdings import Holdings
from mainstem.kafka.membership import member_settings
from mainstem.kafka.portion import Portion
from mainstem.kafka.position import Position

__all__ = ["Assigned", "Failed", "Fetched", "GroupConsumer", "Happening", "Revoked"]

BATCH_BYTES = 8 << 20
POLL_S = 0.05
WAKE_S = 1.0
POSITIONS_S = 30.0
CLOSE_S = 5.0
IDLE_PAUSE_S = 2.0
"""How long the loop may hold all credit before the partitions are paused: a pause drops what was fetched ahead."""
REVOKE_S = 20.0
"""How long a rebalance waits for the loop to finish what it has; after that the partitions are gone all the same."""
GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION, KafkaError.OFFSET_OUT_OF_RANGE}


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
        self._config = member_settings(config, group)
        self._topics = list(topics)
        self._limits = (batch, batch_bytes)
        self._credit = threading.BoundedSemaphore(ahead)
        self._commands = Commands()
        self._holdings = Holdings()
        self._stopped = threading.Event()
        self._met_gap = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._happenings: asyncio.Queue[Happening | Exception | None] = asyncio.Queue()
        self._thread = threading.Thread(target=self._own, name=f"consumer-{self._config['group.id']}", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leaves the group: nothing is under way any more.

        While Kafka does not answer a commit the client waits for it up to a minute: the thread is left to that.
        """
        self._stopped.set()
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
        return partition in self._holdings

    async def hold(self, partitions: Collection[Partition]) -> None:
        """Stops fetching these; they wait for `start` as newly assigned ones do."""
        await self._commands.ask(lambda consumer: consumer.pause(_places(self._holdings.hold(partitions))))

    async def start(self, offsets: Mapping[Partition, int | None]) -> int:
        """Begins the waiting partitions at these offsets; None is the beginning, wherever the group may stand.

        Gives the generation from which on what is fetched of them counts; what comes of an earlier one is stale. An
        offset that Kafka does not hold any more is a Failed (MS-211), and the group is joined anew.
        """
        return await self._commands.ask(lambda consumer: self._start(consumer, offsets))

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commits next offsets for the partitions that are still ours; others are left alone."""
        await self._commands.ask(lambda consumer: self._commit(consumer, offsets))

    async def group_metadata(self, partitions: Collection[Partition]) -> Any:
        """For `send_offsets_to_transaction` of these: take it anew each time, a member's epoch moves silently.

        Raises Fenced when one of them is not ours any more: with the epoch of the assignment after that one, Kafka
        would take its offset all the same.
        """

        def ask(consumer: Consumer) -> Any:
            gone = [partition for partition in partitions if partition not in self._holdings]
            if gone:
                raise Fenced("the group has given partitions to another worker", partitions=gone)
            return consumer.consumer_group_metadata()

        return await self._commands.ask(ask)

    async def committed(self, partitions: Collection[Partition]) -> dict[Partition, Position | None]:
        """The group's committed next offsets; those of a transaction that is just ending are waited for."""
        asked = _places(partitions)
        found = await self._commands.ask(lambda consumer: consumer.committed(asked, timeout=10))
        return {
            Partition(tp.topic, tp.partition): None if tp.offset < 0 else Position(tp.offset, tp.metadata or "")
            for tp in found
        }

    async def positions(self, partitions: Collection[Partition]) -> dict[Partition, Position | None]:
        """Where the group stands, to be started from. Raises Misconfigured (MS-211) where Kafka does not hold it."""
        found = await self._committed_in_time(partitions)
        for partition, position in found.items():
            check_position(partition, position, await self.bounds(partition))
        return found

    async def _committed_in_time(self, partitions: Collection[Partition]) -> dict[Partition, Position | None]:
        """A coordinator that has just moved, or is busy, may need longer than one question waits."""
        deadline = monotonic() + POSITIONS_S
        while True:
            try:
                return await self.committed(partitions)
            except Retryable:
                if monotonic() > deadline:
                    raise

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset that the partition still holds and the one after its last committed record."""
        place = TopicPartition(*partition)
        return await self._commands.ask(lambda consumer: consumer.get_watermark_offsets(place, timeout=10))

    # What follows runs in the consumer's own thread.

    def _own(self) -> None:
        try:
            while not self._stopped.is_set():
                self._live()
        except KafkaException as error:
            self._tell(failure(error, f"reading {', '.join(self._topics)}"))
        except Exception as error:  # noqa: BLE001 - the thread's boundary: whoever listens is told
            self._tell(error)
        finally:
            self._commands.close()

    def _live(self) -> None:
        """One client, from its joining the group to its leaving."""
        consumer = Consumer(self._config)
        self._met_gap = False
        try:
            consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
            while self._stays():
                self._commands.run(consumer)
                if self._credit.acquire(timeout=0):
                    self._fetch(consumer)
                else:
                    self._wait_for_credit(consumer)
        finally:
            consumer.close()

    def _stays(self) -> bool:
        return not self._stopped.is_set() and not self._met_gap

    def _fetch(self, consumer: Consumer) -> None:
        """Takes what is there. Asking for a whole batch at once would wait for it to fill, and cost latency."""
        portion = Portion(*self._limits)
        messages: list[Message] = []
        errors: list[Message] = []
        wait_s = POLL_S
        while not errors and (room := portion.room()) and (got := consumer.consume(room, wait_s)):
            wait_s = 0.0
            errors = [message for message in got if message.error() is not None]
            records = [message for message in got if message.error() is None] if errors else got
            portion.add(records)
            messages += records
        if messages:
            self._tell(Fetched(messages, self._holdings.generation, self._credit.release))
        else:
            self._credit.release()
        self._note_errors(consumer, errors)

    def _note_errors(self, consumer: Consumer, got: Sequence[Message]) -> None:
        for message in got:
            error = message.error()
            if error is None or error.retriable() or error.code() in PASSING:
                continue
            if error.code() in GONE:
                self._tell(Failed(self._gap(consumer, message)))
                self._met_gap = True  # a client reads such a partition again only when it is assigned anew
            else:
                self._tell(Failed(failure(error, f"reading {', '.join(self._topics)}")))

    def _gap(self, consumer: Consumer, message: Message) -> MainstemError:
        partition = Partition(str(message.topic()), message.partition() or 0)
        with suppress(KafkaException):
            return gap(
                partition, message.offset(), consumer.get_watermark_offsets(TopicPartition(*partition), timeout=2)
            )
        return gap(partition, message.offset(), None)

    def _wait_for_credit(self, consumer: Consumer) -> None:
        """Keeps the membership while the loop is busy: first without touching the partitions, then with them paused."""
        deadline = monotonic() + IDLE_PAUSE_S
        while monotonic() < deadline and self._stays():
            self._commands.run(consumer)
            if self._credit.acquire(timeout=0.01):
                self._credit.release()
                return
        self._rest(consumer)

    def _rest(self, consumer: Consumer) -> None:
        """What is polled here is no record, for all partitions are paused: it would be lost."""
        self._holdings.is_resting = True
        consumer.pause(_places(self._holdings.running()))
        while self._stays():
            self._commands.run(consumer)
            self._note_errors(consumer, consumer.consume(1, POLL_S))
            if self._credit.acquire(timeout=0):
                self._credit.release()
                break
        self._holdings.is_resting = False
        _resume(consumer, self._holdings.running())

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # An offset of our own, though nothing is read from it: the client would first ask the group for one, which can
        # take as long as a dead member's transaction is open, and nothing could be started meanwhile.
        consumer.assign([TopicPartition(tp.topic, tp.partition, 0) for tp in partitions])
        consumer.pause(partitions)
        self._holdings.assign(_partitions(partitions))
        self._tell(Assigned(sorted(self._holdings.held)))

    def _start(self, consumer: Consumer, offsets: Mapping[Partition, int | None]) -> int:
        self._holdings.generation += 1
        started = self._holdings.waiting(offsets)
        for partition in started:
            offset = offsets[partition]
            consumer.seek(TopicPartition(*partition, OFFSET_BEGINNING if offset is None else offset))
            self._holdings.start(partition)
        if not self._holdings.is_resting:
            _resume(consumer, started)
        return self._holdings.generation

    def _commit(self, consumer: Consumer, offsets: Mapping[Partition, int]) -> None:
        mine = [TopicPartition(*partition, offset) for partition, offset in offsets.items() if self.holds(partition)]
        if mine:
            consumer.commit(offsets=mine, asynchronous=True)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(consumer, partitions, lost=False)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(consumer, partitions, lost=True)

    def _leave(self, consumer: Consumer, partitions: list[TopicPartition], *, lost: bool) -> None:
        left = threading.Event()
        self._tell(Revoked(sorted(_partitions(partitions)), lost, left.set))
        deadline = monotonic() + (0 if lost else REVOKE_S)
        while not left.is_set() and not self._stopped.is_set() and monotonic() < deadline:
            self._commands.run(consumer)  # the loop may want to commit what it has just finished
            left.wait(0.01)
        self._holdings.leave(_partitions(partitions))
        consumer.unassign()

    def _tell(self, happening: Happening | Exception) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._happenings.put_nowait, happening)


def _resume(consumer: Consumer, partitions: Collection[Partition]) -> None:
    """Goes on reading. A client that had nothing to fetch looks for work once a second, or when the broker answers it
    something: so each is asked something, for no longer than that second."""
    consumer.resume(_places(partitions))
    deadline = monotonic() + WAKE_S
    for partition in partitions:
        if (left_s := deadline - monotonic()) > 0:
            with suppress(KafkaException):
                consumer.get_watermark_offsets(TopicPartition(*partition), timeout=left_s)


def _places(partitions: Collection[Partition]) -> list[TopicPartition]:
    return [TopicPartition(*partition) for partition in partitions]


def _partitions(places: Collection[TopicPartition]) -> set[Partition]:
    return {Partition(tp.topic, tp.partition) for tp in places}
