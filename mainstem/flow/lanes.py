"""A plain sink's decisions: which records are written next, what becomes of each, and what may be committed.

A lane holds the records of one key. At most one write has records of a lane, so a record that waits for its retry holds
up its own key and no other. What is finished is durable with a checkpoint: **one** Kafka transaction of the letters and
their states, and of the offsets: of each partition the next one before which everything is finished, with a note of
what is finished beyond it (flow/ahead_note.py). A successor begins there, passes over what is noted, and knows the
lines that wait as they were then. What that means, case by case:

- *A record was delivered, and no checkpoint has it.* It is delivered again after a crash, and so are the later ones of
  its key, in order: of a key the earlier ones finish first. At most `window_records` are in flight, or finished and not
  durable.
- *A record was refused, and no checkpoint has it.* Its letter was never seen. It is tried again, and parks again or
  not. The later ones of its key had no effect meanwhile.
- *A redriven record was delivered, and no checkpoint has its release.* The successor finds it waiting, and delivers it
  again. A live record of the key that went first, in a checkpoint of its own, would have been overtaken then by an
  older one. So live records of the key are held until the release is durable. Redriven ones go on: they stand behind it
  in the same partition, and are repeated after it.
- *A live record comes while others of its key wait.* It waits behind them, whatever is durable of that: on either side
  of a crash it had no effect.
- *A redriven record does not wait when it comes.* It is dropped at once, before its turn: its letter was durable before
  it was sent, so it was delivered since, or given up.

No I/O and no clock: time is given in, in seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mainstem.errors import RETRIES_EXHAUSTED, Misconfigured, Rejected, Retryable, Unreachable
from mainstem.event import Partition
from mainstem.flow.checkpoint import Checkpoint, Checkpoints, Finished
from mainstem.flow.dead_letter import Failure
from mainstem.flow.flight import Flight, LaneRules, take_run
from mainstem.flow.item import Item, OnFailure
from mainstem.flow.lines import Lines, Verdict
from mainstem.flow.quota import Quota
from mainstem.flow.settlement import blocked, failure_of, too_many_parked
from mainstem.flow.turns import Entry, Lane, Turns
from mainstem.kafka.position import Position
from mainstem.sdk.sink import ParkedKey


class Lanes:
    """One worker's records from the take-over of its partitions to their loss.

    `starts` are the offsets where the partitions begin, `waiting` the event ids that wait there by key.
    """

    def __init__(
        self,
        rules: LaneRules,
        starts: Mapping[Partition, int],
        waiting: Mapping[ParkedKey, Iterable[str]],
    ) -> None:
        self._rules = rules
        self._checkpoints = Checkpoints(starts)
        self._lines = Lines(waiting)
        self._turns = Turns()
        self._live, self._redriven = rules.quota(), rules.quota()
        self._releasing: Counter[ParkedKey] = Counter()
        """Releases that are not durable, by key."""
        self._too_many: Lane | None = None
        """The lane whose record would park one key too many; only redriven records and this one are worked on."""
        self._probe_at = 0.0
        self.in_flight = 0
        """Writes under way."""
        self.obstacle: Misconfigured | None = None
        """Why nothing can go on, if so: a record is refused and `on_failure` is block. Taken back by `look_again`."""

    @property
    def parked_keys(self) -> int:
        return len(self._lines)

    @property
    def durable(self) -> Mapping[Partition, Position]:
        """The next offsets of what is durable."""
        return self._checkpoints.durable

    @property
    def finished(self) -> int:
        """Records that have come to their end, in all, durable or not."""
        return self._checkpoints.finished

    @property
    def cap(self) -> Misconfigured | None:
        """Why only redriven records are worked on, if so."""
        return None if self._too_many is None else too_many_parked(self._rules.part, len(self._lines))

    @property
    def has_room(self) -> bool:
        """Whether more may be fetched. With too many parked keys it is only the redriven ones that need room."""
        return self._redriven.has_room and (self._too_many is not None or self._live.has_room)

    def next_to_fetch(self, partition: Partition) -> int:
        return self._checkpoints.next_to_begin(partition)

    def admit(self, items: Iterable[Item]) -> None:
        """Takes fetched records on, in order within each partition; those that it has already are left out."""
        for item in items:
            if self._checkpoints.begin(item):
                self._quota(item).put(item)
        self._take_on()

    def has_work(self, now: float) -> bool:
        """Whether there is anything to do for `start`."""
        self._probe(now)
        return self.obstacle is None and self._turns.has_one(now)

    def start(self, now: float, at_most: int) -> Flight | None:
        """The next write, of at most so many records; what needs no write is settled on the way."""
        self._probe(now)
        room = min(at_most, self._rules.per_write)
        taken: list[Entry] = []
        while len(taken) < room and self.obstacle is None and (lane := self._turns.next(now)) is not None:
            if not self._settle_head(lane, now):
                continue
            room = min(room, lane.queue[0].most)
            if len(taken) >= room:
                self._turns.first(lane)
                break
            take_run(lane, taken, room)
        if not taken:
            return None
        self.in_flight += 1
        return Flight(taken)

    def rests_until(self) -> float | None:
        """When the next record that waits for another try gets its turn."""
        times = [self._turns.rests_until()]
        if self._too_many is not None and self._turns.is_suspended(self._too_many):
            times.append(self._probe_at)
        return min((time for time in times if time is not None), default=None)

    def delivered(self, flight: Flight) -> None:
        """All of it is written."""
        self.in_flight -= 1
        for entry in flight.entries:
            self._end(entry, Verdict.DELIVER)
        for lane in flight.lanes:
            self._turns.done(lane)

    def failed(self, flight: Flight, error: BaseException, now: float) -> None:
        """The write raised. Anything but Rejected and Retryable is not about these records: they are kept."""
        self.in_flight -= 1
        match error:
            case Rejected():
                self._refused(flight, error, now)
            case Retryable() if not isinstance(error, Unreachable):
                self._retry(flight, error, now)
            case _:
                self._again_at_once(flight.entries)

    def look_again(self) -> None:
        """A person may have mended what the obstacle was."""
        self.obstacle = None

    def checkpoint(self) -> Checkpoint | None:
        """Everything that is finished and not durable yet; None when there is nothing."""
        return self._checkpoints.latest()

    def is_durable(self, checkpoint: Checkpoint) -> None:
        """The transaction of that checkpoint is committed."""
        for finished in self._checkpoints.keep(checkpoint):
            self._quota(finished.item).free(finished.item)
            if finished.item.is_redriven:
                self._known(finished)
        self._take_on()

    def _probe(self, now: float) -> None:
        if self._too_many is not None and now >= self._probe_at:
            self._turns.resume(self._too_many.scope)

    def _known(self, finished: Finished) -> None:
        """What has become of a redriven record is durable."""
        scope = finished.item.scope
        if finished.failure is not None:
            self._lines.may_be_tried_again(finished.item)
        elif finished.verdict is not Verdict.DROP:
            self._releasing[scope] -= 1
            if not self._releasing[scope]:
                del self._releasing[scope]
                self._turns.let_go(scope)

    def _quota(self, item: Item) -> Quota:
        return self._redriven if item.is_redriven else self._live

    def _take_on(self) -> None:
        for item in self._redriven.take():
            if self._find_line(item):
                self._turns.add(item)
            else:
                self._checkpoints.finish(item, Verdict.DROP)
        for item in self._live.take():
            self._turns.add(item)

    def _find_line(self, item: Item) -> bool:
        """Whether it waits; a record that was parked before `on_failure` was changed does so under another scope."""
        other = item.other_scope
        if self._lines.waits(item.scope, item.event_id):
            return True
        if other is not None and self._lines.waits(other, item.event_id):
            item.waits_under(other)
            return True
        return False

    def _settle_head(self, lane: Lane, now: float) -> bool:
        """Settles what needs no write. True when the lane's head is to be written now; else it stands elsewhere."""
        while lane.queue:
            entry = lane.queue[0]
            verdict = self._lines.judge(entry.item)
            if self._stands_back(lane, entry.item, verdict):
                return False
            if verdict is Verdict.DELIVER:
                return True
            lane.queue.popleft()
            failure = failure_of(entry.item, verdict, self._rules.part)
            if verdict is not Verdict.FAILED or failure is None:
                self._end(entry, verdict, failure)
            elif not self._refuse(entry, failure, now):
                return False
        self._turns.done(lane)
        return False

    def _stands_back(self, lane: Lane, item: Item, verdict: Verdict) -> bool:
        """A live record does while its key's release is not durable, and while there are too many parked keys."""
        if item.is_redriven or verdict not in {Verdict.DELIVER, Verdict.FAILED}:
            return False
        if item.scope in self._releasing:
            self._turns.hold(lane)
            return True
        if self._too_many is not None and self._too_many is not lane:
            self._turns.suspend(lane)
            return True
        return False

    def _refused(self, flight: Flight, error: Rejected, now: float) -> None:
        if len(flight) > 1:
            self._halve(flight)
            return
        [entry] = flight.entries
        if self._refuse(entry, Failure(error, self._rules.part, "write", entry.failures + 1), now):
            self._turns.done(entry.lane)

    def _retry(self, flight: Flight, error: Retryable, now: float) -> None:
        for entry in flight.entries:
            entry.failures += 1
        worst = max(entry.failures for entry in flight.entries)
        if not self._rules.retry.is_exhausted(worst):
            until = now + self._rules.retry.pause(worst, wish_s=error.after_s)
            self._turns.put_back(flight.entries)
            for lane in flight.lanes:
                self._turns.rest(lane, until)
        elif len(flight) > 1:
            self._halve(flight)  # one of them may be to blame: only the one that fails alone is given up
        else:
            [entry] = flight.entries
            given_up = Rejected(f"no attempt is left: {error.cause}", code=RETRIES_EXHAUSTED)
            given_up.__cause__ = error
            if self._refuse(entry, Failure(given_up, self._rules.part, "write", entry.failures), now):
                self._turns.done(entry.lane)

    def _halve(self, flight: Flight) -> None:
        for entry in flight.entries:
            entry.most = max(1, len(flight) // 2)
        self._again_at_once(flight.entries)

    def _again_at_once(self, entries: Sequence[Entry]) -> None:
        self._turns.put_back(entries)
        for lane in reversed(Flight(entries).lanes):
            self._turns.first(lane)

    def _refuse(self, entry: Entry, failure: Failure, now: float) -> bool:
        """Makes a letter of it. False when it may not: it is at the head of its lane again, which stands elsewhere."""
        lane = entry.lane
        if self._rules.on_failure is OnFailure.BLOCK:
            lane.queue.appendleft(entry)
            self._turns.first(lane)
            self.obstacle = blocked(entry.item, failure)
            return False
        if self._is_one_too_many(entry.item):
            lane.queue.appendleft(entry)
            self._turns.suspend(lane)
            if self._too_many is None or self._too_many is lane:
                self._too_many, self._probe_at = lane, now + self._rules.probe_s
            return False
        self._end(entry, Verdict.FAILED, failure)
        return True

    def _is_one_too_many(self, item: Item) -> bool:
        return self._is_full and not item.is_redriven and item.scope not in self._lines

    def _end(self, entry: Entry, verdict: Verdict, failure: Failure | None = None) -> None:
        """The record is settled."""
        item = entry.item
        if verdict is Verdict.FAILED:
            self._lines.refuse(item)
        else:
            self._lines.carry_out(item, verdict)
        self._checkpoints.finish(item, verdict, failure)
        if item.is_redriven and failure is None and verdict is not Verdict.DROP:
            self._releasing[item.scope] += 1
        if self._too_many is not None and (self._too_many is entry.lane or not self._is_full):
            self._too_many = None
            self._turns.resume_all()

    @property
    def _is_full(self) -> bool:
        most = self._rules.max_parked_keys
        return most is not None and len(self._lines) >= most
