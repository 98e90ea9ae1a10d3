"""Which partitions the group has given to the consumer, and from where they are read. Everything runs in its thread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition
from faust.types import TP

from mainstem.process.librdkafka.patience import bounds

ANSWER_S = 30.0


class Listener(Protocol):
    """What the loop's side wants to hear. All but `failed` are called in the loop."""

    def arrived(self) -> None:
        """There is something to `take`."""

    def assigned(self, offsets: Mapping[TP, int]) -> None:
        """Partitions are ours from now on; they wait, paused, until `restart` lets them run."""

    async def revoked(self, partitions: set[TP], lost: bool) -> None:
        """Partitions are to be left; the rebalance waits for it. Lost ones belong to others already."""

    def failed(self, reason: str) -> None:
        """The consumer cannot go on."""


class Thread(Protocol):
    """What the thread does for it."""

    def post(self, what: Callable[[], object]) -> None:
        """Calls it in the loop, some time."""

    def wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs it in the loop, and makes the loop's calls meanwhile."""


class Membership:
    """See the module."""

    def __init__(self, thread: Thread, listener: Listener, *, earliest: bool, is_incremental: bool) -> None:
        self._thread = thread
        self._listener = listener
        self._earliest = earliest
        self._is_incremental = is_incremental
        self.generation = 0
        """Of what is fetched from now on."""
        self._assigned: set[TP] = set()
        self._running: set[TP] = set()
        self._is_leaving = False
        self._deferred: Callable[[Consumer], None] | None = None

    @property
    def is_in(self) -> bool:
        """It has partitions."""
        return bool(self._assigned)

    def subscribe(self, consumer: Consumer, topics: Iterable[str]) -> None:
        consumer.subscribe(list(topics), on_assign=self._assign_begins, on_revoke=self._revoke, on_lost=self._lost)

    def pause(self, consumer: Consumer) -> None:
        """All of them, for want of room."""
        consumer.pause([TopicPartition(*tp) for tp in self._assigned])

    def resume(self, consumer: Consumer) -> None:
        """Those that are to run."""
        consumer.resume([TopicPartition(*tp) for tp in self._running & self._assigned])

    def move(self, consumer: Consumer, generation: int, offsets: Mapping[TP, int], running: set[TP]) -> None:
        """Reads on from these offsets. What is to be left just now may not be assigned anew: then it waits."""
        if self._is_leaving:
            self._deferred = lambda consumer: self.move(consumer, generation, offsets, running)
            return
        places = [TopicPartition(*tp, offset) for tp, offset in offsets.items() if tp in self._assigned]
        if places:
            self._assign(consumer, places)
        self._running = {tp for tp in running if tp in self._assigned}
        waiting = [TopicPartition(*tp) for tp in self._assigned - self._running]
        if waiting:
            consumer.pause(waiting)
        if not places and self._running:
            consumer.resume([TopicPartition(*tp) for tp in self._running])
        self.generation = generation

    def _assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        if self._is_incremental:
            consumer.incremental_unassign(places)
            consumer.incremental_assign(places)
        else:
            consumer.assign(places)

    def _assign_begins(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """The committed offsets are read here, as a read_committed consumer: that waits for those of a transaction
        which is just ending, so whoever restores a table afterwards finds that transaction's changelog."""
        start: list[TopicPartition] = []
        for place in consumer.committed(places, timeout=60) if places else []:
            if place.error:
                raise KafkaException(place.error)
            offset = place.offset if place.offset >= 0 else self._beginning(consumer, place)
            start.append(TopicPartition(place.topic, place.partition, offset))
        if self._is_incremental:
            consumer.incremental_assign(start)
        else:
            consumer.assign(start)
            self._assigned = set()
        if start:
            consumer.pause(start)
        offsets = {TP(place.topic, place.partition): place.offset for place in start}
        self._assigned |= offsets.keys()
        self._thread.post(lambda: self._listener.assigned(offsets))

    def _beginning(self, consumer: Consumer, place: TopicPartition) -> int:
        low, high = bounds(consumer, TP(place.topic, place.partition))
        return low if self._earliest else high

    def _revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._leave(consumer, places, lost=False)

    def _lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._leave(consumer, places, lost=True)

    def _leave(self, consumer: Consumer, places: list[TopicPartition], *, lost: bool) -> None:
        gone = {TP(place.topic, place.partition) for place in places}
        self._is_leaving = True
        self._thread.wait_for(self._listener.revoked(gone, lost))
        self._is_leaving = False
        self._assigned -= gone
        self._running -= gone
        if self._is_incremental:
            consumer.incremental_unassign(places)
        else:
            consumer.unassign()
        if self._deferred is not None:
            move, self._deferred = self._deferred, None
            move(consumer)
