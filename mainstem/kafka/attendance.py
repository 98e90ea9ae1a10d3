"""One member's attendance of its group: what the thread does that owns the client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from contextlib import suppress
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from mainstem.errors import MainstemError
from mainstem.event import Partition
from mainstem.kafka.command import Commands
from mainstem.kafka.failure import PASSING, failure
from mainstem.kafka.gap import gap
from mainstem.kafka.happening import Assigned, Failed, Fetched, Happening, Revoked
from mainstem.kafka.holdings import Holdings
from mainstem.kafka.places import partitions_of, places
from mainstem.kafka.portion import Portion

POLL_S = 0.05
WAKE_S = 1.0
IDLE_PAUSE_S = 2.0
"""How long the loop may hold all credit before the partitions are paused: a pause drops what was fetched ahead."""
REVOKE_S = 20.0
"""How long a rebalance waits for the loop to finish what it has; after that the partitions are gone all the same."""
GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION, KafkaError.OFFSET_OUT_OF_RANGE}


class Attendance:
    """`run` is the thread; `start` and `commit` are called in it, as commands. What happens is told with `tell`."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topics: Sequence[str],
        bounds: tuple[int, int],
        ahead: int,
        commands: Commands,
        tell: Callable[[Happening | Exception], None],
    ) -> None:
        """`bounds` are a batch's, in records and in bytes; `ahead` is how many batches may be out at a time."""
        self._config = dict(config)
        self._topics = list(topics)
        self._bounds = bounds
        self._credit = threading.BoundedSemaphore(ahead)
        self._commands = commands
        self._tell = tell
        self._met_gap = False
        self._given: set[Partition] = set()
        """What the client reads, or would if it were not paused."""
        self.holdings = Holdings()
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
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
        return not self.stopped.is_set() and not self._met_gap

    def _fetch(self, consumer: Consumer) -> None:
        """Takes what is there. Asking for a whole batch at once would wait for it to fill, and cost latency."""
        portion = Portion(*self._bounds)
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
            self._tell(Fetched(messages, self.holdings.generation, self._credit.release))
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
        self.holdings.is_resting = True
        consumer.pause(places(self.holdings.running()))
        while self._stays():
            self._commands.run(consumer)
            self._note_errors(consumer, consumer.consume(1, POLL_S))
            if self._credit.acquire(timeout=0):
                self._credit.release()
                break
        self.holdings.is_resting = False
        _resume(consumer, self.holdings.running())

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # The client gets them when it is said where to begin. Were they given to it now, at a place that it has to look
        # up ("the end", "where the group stands"), an answer that comes after the start would undo that: librdkafka
        # 2.16 asks once more (rd_kafka_toppar_handle_Offset), and goes on from there, past all that lies between.
        consumer.assign([])
        self._given = set()
        self.holdings.assign(partitions_of(partitions))
        self._tell(Assigned(sorted(self.holdings.held)))

    def start(self, consumer: Consumer, offsets: Mapping[Partition, int]) -> int:
        self.holdings.generation += 1
        started = self.holdings.waiting(offsets)
        for partition in started:
            self.holdings.start(partition, offsets[partition])
        if self._given.issuperset(started):
            for partition in started:
                consumer.seek(TopicPartition(*partition, offsets[partition]))
        else:
            self._give(consumer, set(started))
        if not self.holdings.is_resting:
            _resume(consumer, started)
        return self.holdings.generation

    def hold(self, consumer: Consumer, partitions: Collection[Partition]) -> None:
        consumer.pause(places(self.holdings.hold(partitions)))

    def _give(self, consumer: Consumer, started: Set[Partition]) -> None:
        """Lets the client know what runs. Those that ran before go on where they are."""
        before = places(self._given - started)
        consumer.pause(before)  # from here on nothing is handed out of what was fetched of them
        for place in consumer.position(before) if before else ():
            self.holdings.goes_on(Partition(place.topic, place.partition), place.offset)
        starts = self.holdings.starts()
        consumer.assign([TopicPartition(*partition, offset) for partition, offset in starts.items()])
        self._given = set(starts)
        # A pause outlives an assignment: one that waited when it was given away would wait for ever when it comes back.
        (consumer.pause if self.holdings.is_resting else consumer.resume)(places(starts))

    def commit(self, consumer: Consumer, offsets: Mapping[Partition, int]) -> None:
        mine = [
            TopicPartition(*partition, offset) for partition, offset in offsets.items() if partition in self.holdings
        ]
        if mine:
            consumer.commit(offsets=mine, asynchronous=True)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(consumer, partitions, lost=False)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(consumer, partitions, lost=True)

    def _leave(self, consumer: Consumer, partitions: list[TopicPartition], *, lost: bool) -> None:
        left = threading.Event()
        self._tell(Revoked(sorted(partitions_of(partitions)), lost, left.set))
        deadline = monotonic() + (0 if lost else REVOKE_S)
        while not left.is_set() and not self.stopped.is_set() and monotonic() < deadline:
            self._commands.run(consumer)  # the loop may want to commit what it has just finished
            left.wait(0.01)
        self.holdings.leave(partitions_of(partitions))
        self._given = set()
        consumer.unassign()


def _resume(consumer: Consumer, partitions: Collection[Partition]) -> None:
    """Goes on reading. A client that had nothing to fetch looks for work once a second, or when the broker answers it
    something: so each is asked something, for no longer than that second."""
    consumer.resume(places(partitions))
    deadline = monotonic() + WAKE_S
    for partition in partitions:
        if (left_s := deadline - monotonic()) > 0:
            with suppress(KafkaException):
                consumer.get_watermark_offsets(TopicPartition(*partition), timeout=left_s)
