"""What a plain sink's worker does with its partitions from their take-over to their loss: writes, waits, commits.

All decisions are flow/lanes.py's. One task drives them; each write and each commit is a task of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, perf_counter

from mainstem.deliver.gate import Gate, Pass
from mainstem.deliver.ledger import Ledger
from mainstem.deliver.letters import letter_records
from mainstem.deliver.persistence import Persistence
from mainstem.deliver.report import Report
from mainstem.errors import Rejected, Retryable, Unreachable
from mainstem.event import Partition
from mainstem.failpoint import failpoint
from mainstem.flow.checkpoint import Checkpoint
from mainstem.flow.flight import Flight
from mainstem.flow.item import Item
from mainstem.flow.lanes import Lanes
from mainstem.flow.turns import UNBOUNDED
from mainstem.kafka.position import is_same
from mainstem.sdk.sink import Write

OnCap = Callable[[bool], Awaitable[None]]

COMMIT_S = 0.1
"""What is finished is durable after so long, if Kafka answers: a crash repeats no more than was finished since."""
DRAIN_S = 10.0
"""How long a worker that has to leave partitions waits for the writes under way; the others are broken off."""
LEASE_S = 1.0
"""One that has not been awake for longer asks Kafka whether the partitions are still its own before it writes."""


COMMIT_RECORDS = 2_000
"""So many finished records are made durable at once."""


@dataclass(frozen=True)
class PlainSink:
    """A plain sink's connector, opened, and what it says of itself."""

    write: Write
    gate: Gate
    dlq: str
    target: str
    """Its name, which others may share who write to the same one."""
    in_flight: int = 1
    """Writes under way at once."""
    records_per_write: int | None = None
    """At most; None: as many as a batch has."""


class Tenure:
    """The partitions of one assignment. Run it, and then `leave` or `abandon` it.

    `on_cap` is called when the number of parked keys has become too large, and when it is not so any more.
    """

    def __init__(
        self, sink: PlainSink, lanes: Lanes, ledger: Ledger, report: Report, persistence: Persistence, on_cap: OnCap
    ) -> None:
        self._sink = sink
        self._lanes = lanes
        self._ledger = ledger
        self._report = report
        self._persistence = persistence
        self._on_cap = on_cap
        self._wake = asyncio.Event()
        self._flights: set[asyncio.Task[None]] = set()
        self._committing: asyncio.Task[None] | None = None
        self._commit_at: float | None = None
        self._known_finished = 0
        self._is_doubtful = False
        """Whether nobody knows if the last commit was done."""
        self._rooms: list[Callable[[], None]] = []
        self._is_over = False
        self._is_capped = False
        self._awake_at = monotonic()
        self._retried: Retryable | None = None
        """What the target said last when it asked for patience; forgotten with the next delivery."""

    def wake(self) -> None:
        """Something has changed that it may wait for."""
        self._wake.set()

    def admit(self, items: Sequence[Item], done: Callable[[], None]) -> None:
        """Takes records on; `done` is called when there is room for more."""
        self._rooms.append(done)
        self._lanes.admit(items)
        self.wake()

    def next_to_fetch(self, partition: Partition) -> int:
        return self._lanes.next_to_fetch(partition)

    async def run(self) -> None:
        """Drives everything until it is cancelled. Raises Fenced when the partitions are another's, and Stopped."""
        try:
            while True:
                await self._look_around()
                await self._sleep()
        finally:
            self._give_room(everything=True)

    async def leave(self) -> None:
        """Waits for the writes under way, for a while, and commits what is finished. Raises Fenced."""
        if self._flights:
            await asyncio.wait(self._flights, timeout=DRAIN_S)
        await self.abandon()
        checkpoint = self._lanes.checkpoint()
        if checkpoint is not None and not self._is_doubtful:
            with suppress(Unreachable):  # whoever takes over repeats it
                await self._commit(checkpoint)

    async def abandon(self) -> None:
        """Breaks everything off: it is another's already, or this process ends."""
        self._is_over = True
        for task in self._flights:
            task.cancel()
        under_way = [*self._flights, *([self._committing] if self._committing else [])]
        if under_way:
            await asyncio.wait(under_way, timeout=DRAIN_S)

    async def _look_around(self) -> None:
        now = monotonic()
        if now - self._awake_at > LEASE_S:
            await self._verify()
            now = monotonic()
        self._awake_at = now
        self._tend_commit(now)
        if self._sink.gate.is_paused and self._sink.gate.asks_again_at(now) is None:
            await self._persistence.stop_if_outdated()
            self._lanes.look_again()
        self._start_writes(now)
        await self._regulate()
        self._give_room()
        self._tell()

    def _start_writes(self, now: float) -> None:
        gate = self._sink.gate
        while self._has_a_hand_free and self._lanes.has_work(now) and (leave := gate.enter(now)) is not None:
            flight = self._lanes.start(now, at_most=1 if leave.is_probe else UNBOUNDED)
            if flight is not None:
                task = asyncio.create_task(self._fly(flight, leave))
                self._flights.add(task)
                task.add_done_callback(self._landed)
            elif self._lanes.obstacle is not None:
                self._persistence.pauses(self._lanes.obstacle)
                gate.pause(leave, now)
            else:
                gate.unused(leave)

    @property
    def _has_a_hand_free(self) -> bool:
        return len(self._flights) < self._sink.in_flight

    async def _fly(self, flight: Flight, leave: Pass) -> None:
        began = perf_counter()
        try:
            failpoint("sink.before_write")
            await self._sink.write(flight.records)
        except asyncio.CancelledError:
            self._sink.gate.unused(leave)
            raise
        except Exception as error:  # noqa: BLE001 - the boundary to connectors: a bug pauses and keeps the records
            self._failed(flight, leave, error)
        else:
            self._sink.gate.answered(leave)
            self._lanes.delivered(flight)
            self._report.wrote(flight.items, perf_counter() - began)
            self._retried = None

    def _failed(self, flight: Flight, leave: Pass, error: Exception) -> None:
        now = monotonic()
        self._lanes.failed(flight, error, now)
        if self._lanes.obstacle is not None:
            self._persistence.pauses(self._lanes.obstacle)
            self._sink.gate.pause(leave, now)
        elif isinstance(error, Unreachable):
            self._sink.gate.silent(leave, error, now)
            self._report.waits(error)
        elif isinstance(error, Retryable | Rejected):
            self._sink.gate.answered(leave)
            self._retried = error if isinstance(error, Retryable) else self._retried
        else:
            self._persistence.pauses(error)
            self._sink.gate.pause(leave, now)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self.wake()

    def _tend_commit(self, now: float) -> None:
        if self._committing is not None:
            if not self._committing.done():
                return
            committing, self._committing = self._committing, None
            committing.result()
        new = self._lanes.finished - self._known_finished
        if new and self._commit_at is None:
            self._commit_at = now + COMMIT_S
        if self._commit_at is None or (now < self._commit_at and new < COMMIT_RECORDS):
            return
        self._commit_at, self._known_finished = None, self._lanes.finished
        if checkpoint := self._lanes.checkpoint():
            self._committing = asyncio.create_task(self._commit_at_last(checkpoint))
            self._committing.add_done_callback(lambda _: self.wake())

    async def _commit_at_last(self, checkpoint: Checkpoint) -> None:
        """Raises Fenced, and Stopped."""

        async def once() -> None:
            if self._is_doubtful and await self._is_committed(checkpoint):
                self._settled(checkpoint)
            else:
                await self._commit(checkpoint)

        await self._persistence.persist(once, lambda: not self._is_over)

    async def _is_committed(self, checkpoint: Checkpoint) -> bool:
        committed = await self._ledger.committed(checkpoint.offsets.keys())
        return all(is_same(committed[partition], offset) for partition, offset in checkpoint.offsets.items())

    async def _commit(self, checkpoint: Checkpoint) -> None:
        records = [record for _, record in letter_records(checkpoint.outcomes, self._sink.dlq)]
        self._is_doubtful = True
        failpoint("sink.before_commit")
        await self._ledger.commit(records, checkpoint.offsets)
        failpoint("sink.after_commit")
        self._settled(checkpoint)

    def _settled(self, checkpoint: Checkpoint) -> None:
        self._is_doubtful = False
        self._lanes.is_durable(checkpoint)
        self._report.settled(checkpoint.outcomes, self._lanes.parked_keys)

    async def _verify(self) -> None:
        """A commit of what is committed: the group refuses it from one who is not a member any more. Raises Fenced."""
        if self._committing is not None:
            await asyncio.wait([self._committing])
        offsets = dict(self._lanes.durable)
        await self._persistence.persist(lambda: self._ledger.commit([], offsets), lambda: not self._is_over)

    async def _regulate(self) -> None:
        is_capped = self._lanes.cap is not None
        if is_capped is not self._is_capped:
            self._is_capped = is_capped
            await self._on_cap(is_capped)

    def _give_room(self, *, everything: bool = False) -> None:
        if everything or self._lanes.has_room:
            rooms, self._rooms = self._rooms, []
            for done in rooms:
                done()

    def _tell(self) -> None:
        """What the sink is doing, for people. What it waits or is paused for was told when it happened."""
        if self._lanes.cap is not None:
            self._report.pauses(self._lanes.cap)
        elif self._sink.gate.is_silent:
            self._report.waits_for_target()
        elif self._flights or self._sink.gate.is_paused:
            return
        elif self._lanes.rests_until() is not None and self._retried is not None:
            self._report.waits(self._retried)
        else:
            self._report.progress()

    async def _sleep(self) -> None:
        now = monotonic()
        again = self._sink.gate.asks_again_at(now)
        if again is None and self._has_a_hand_free:
            again = self._lanes.rests_until()
        commit = self._commit_at if self._committing is None else None
        nearest = min((time for time in (again, commit) if time is not None), default=now + LEASE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(nearest - now, 0), LEASE_S / 2)):
                await self._wake.wait()
        self._wake.clear()
