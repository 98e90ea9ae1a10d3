"""What has been delivered, what became of it, and how far Kafka knows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

from faust.types import TP

from mainstem.process.librdkafka.at_least_once import AtLeastOnce
from mainstem.process.librdkafka.blame import Blame
from mainstem.process.librdkafka.burden import Burden
from mainstem.process.librdkafka.dead_letter import letter
from mainstem.process.librdkafka.exactly_once import ExactlyOnce
from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.hands import Hands
from mainstem.process.librdkafka.observing import Observer, Tell
from mainstem.process.librdkafka.transaction import ProducerFailed

EASED_S = 0.05

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Wants to know what becomes of the events that were acknowledged."""

    def committed(self) -> None:
        """They are committed, with all that was written."""

    def voided(self) -> None:
        """What was not committed counts no more: it is read again, here or elsewhere."""


class Account:
    """See the module. What belongs to an earlier assignment, or was rolled back, does not count any more."""

    def __init__(
        self,
        app: Any,
        flights: Flights[TP],
        commits: AtLeastOnce | ExactlyOnce,
        hands: Hands,
        void: Callable[[], None],
    ) -> None:
        """`void` drops what waits."""
        self._app = app
        self._observer: Observer = app.engine.observer
        self.tell = Tell()
        self._done = 0
        """Events that are done and not committed."""
        self.commits_made = 0
        self._burden = Burden(app.engine.ahead, app.engine.ahead_bytes)
        self._eased = asyncio.Event()
        self._within: dict[TP, int] = {}
        """Records done of the batches under way."""
        self.flights = flights
        self.commits = commits
        self.blame: Blame[TP] = Blame(app.engine.retries)
        self.hands = hands
        self.watchers: list[Watcher] = []
        self._void = void
        self._refused: WeakSet[Any] = WeakSet()

    @property
    def is_full(self) -> bool:
        """Agents have as much as they may have at once."""
        return self._burden.is_full(self.flights.generation)

    async def eased(self) -> None:
        """Waits until that is over; for a moment only, for what they have may become void."""
        self._eased.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(EASED_S):
                await self._eased.wait()

    def delivered(self, message: Any, after: int) -> None:
        """The offsets from the message's to before `after` are with an agent."""
        events, size = _load(message.value)
        self._burden.give(self.flights.generation, events, size)
        self.flights.deliver(message.tp, message.offset, after)
        self.commits.delivered(events)

    def ack(self, message: Any) -> bool:
        """Whether it counted."""
        if message.acked:
            return False
        message.acked = True
        self.hands.finish(message)
        counted = self.flights.acknowledge(message.tp, message.offset, message.generation_id)
        if counted:
            events, size = _load(message.value)
            self._done += events
            self._burden.finish(events, size)
            self._eased.set()
        self.commits.acknowledged()
        return counted

    def begin(self, message: Any) -> bool:
        """An agent takes it. False while a commit is made that has not waited for it, for its partition is to be left:
        what it wrote would be committed without its offset, so it is dropped, and read again by whoever has it then.
        A deferred one writes nothing before it is done, so nobody has to wait for it."""
        if message.tp in self.flights.deferred:
            return True
        if not self.commits.takes_on:
            return False
        self.hands.take(message)
        return True

    def advanced(self, tp: TP, records: int) -> None:
        """So many records of the batch at hand are done: it is not acknowledged yet, and does not stand still."""
        self._within[tp] = records

    def waiting(self) -> dict[TP, tuple[int, int]]:
        """Of each partition that has events under way: up to where it is committed, and how far its batch is."""
        return {tp: (offset, self._within.get(tp, 0)) for tp, offset in self.flights.waiting().items()}

    def leaves(self, message: Any) -> bool:
        """Whether an agent has to leave a batch in its middle: a commit waits for what has begun, and for nothing else.
        Not where others read it too: each of them would leave it at another record."""
        return not self.commits.takes_on and self.hands.has_alone(message)

    def left(self, message: Any, done: int) -> None:
        """So many of a batch's records are done, and its agent has left the others: they are delivered anew. What comes
        of the message's acknowledgement is those that are done."""
        if not done:
            self.give_up(message)
            self.commits.acknowledged()
            return
        records = message.value
        self.flights.split(message.tp, message.offset, records[done].offset(), message.generation_id)
        message.value = records[:done]

    def is_current(self, message: Any) -> bool:
        """Whether its acknowledgement would count."""
        return bool(message.generation_id == self.flights.generation) and message.tp in self.flights

    def give_up(self, message: Any) -> None:
        """It was not done: its acknowledgement, which Faust makes when the next event is asked for, does not count."""
        message.acked = True
        self.hands.finish(message)

    def running(self) -> int:
        """See `commits.Work`."""
        return self.hands.busy()

    def failed(self, message: Any, offset: int, error: BaseException) -> bool:
        """An agent raised in the middle of an event. Whether the event is to be handed to it again, at once."""
        tp = message.tp
        if message.generation_id != self.flights.generation:
            self.hands.put_back(message)
            self.commits.acknowledged()
            return False
        is_poison = not isinstance(error, ProducerFailed) and self.blame.failed(tp, offset, error)
        log.warning("an event failed at %s/%d/%d%s", *tp, offset, ", given up" if is_poison else "", exc_info=error)
        if isinstance(self.commits, ExactlyOnce):
            self.hands.put_back(message)
            done = self.flights.due()
            before = sum(mark - (self.flights.position(p) or 0) for p, mark in done.items()) + offset - message.offset
            self.commits.fail(before)
            self.flights.rewind()
            self._void()
            return False
        if not is_poison:
            self.hands.put_back(message)
            message.tracked = False  # it begins anew
            return True
        self.dead_letter(tp, offset, message.key, message.value, error)
        message.ack(self._app.consumer)  # in this agent's name: others may still be in the middle of it
        return False

    def refuse(self, message: Any, error: Exception) -> None:
        """A reader cannot decode it: one dead letter, however many readers there are. A reply, which is no part of the
        account, is none."""
        if not message.acked and message not in self._refused:
            self.dead_letter(message.tp, message.offset, message.key, message.value, error)
            self._refused.add(message)  # only now: where the letter was not taken, the message comes again

    def dead_letter(self, tp: TP, offset: int, key: Any, value: Any, error: BaseException) -> None:
        """Written with the event's other outputs: in the same transaction, or before its offset is committed."""
        self._app.producer.write(letters_of(self._app), key, value, -1, letter(tp, offset, error))
        self.tell(self._observer.dead_lettered, tp, offset, error)

    def committed(self, offsets: Mapping[TP, int], epoch_s: float, commit_s: float) -> None:
        """Kafka has these."""
        self.flights.committed(offsets)
        self.blame.committed(offsets)
        self.commits_made += 1
        done, self._done = self._done, 0
        for watcher in self.watchers:
            watcher.committed()
        self.tell(self._observer.committed, done, epoch_s, commit_s)

    def aborted(self, reason: str) -> None:
        """What was done is done again."""
        self._done = 0
        self.tell(self._observer.aborted, reason)


def _load(value: Any) -> tuple[int, int]:
    """How many events a message holds, a batch or one record's bytes, and the bytes of their values."""
    if type(value) is list:
        return len(value), sum(map(len, value))
    return 1, len(value or b"")


def letters_of(app: Any) -> str:
    """The topic of an app's dead letters."""
    return str(app.engine.dead_letters or f"{app.conf.id}-dead-letters")
