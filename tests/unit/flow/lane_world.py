"""A plain sink's world without I/O: topics, a target and Kafka's ledger as values; one worker's lanes after another.

Records are known by their numbers, which rise in their topic; event ids are `e<number>`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mainstem.codec.headers import DROP, ID
from mainstem.errors import Rejected
from mainstem.event import Event, Partition
from mainstem.flow.ahead_note import read_note
from mainstem.flow.checkpoint import Checkpoint
from mainstem.flow.dead_letter import ORIGIN_HEADERS, Failure
from mainstem.flow.flight import Flight, LaneRules
from mainstem.flow.item import GivenUp, Item, OnFailure
from mainstem.flow.lanes import Lanes
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.position import note_of
from mainstem.sdk.sink import Mapped, ParkedKey
from mainstem.testing.raw_message import RawMessage

TOPIC, REDRIVE = "shop.order.v1", "books.journal.redrive"
PARTITION_OF: Mapping[str | None, int] = {"a": 0, "b": 0, "c": 1, None: 1}
LIVE = [Partition(TOPIC, 0), Partition(TOPIC, 1)]
AGAIN = [Partition(REDRIVE, 0), Partition(REDRIVE, 1)]
ALL = [*LIVE, *AGAIN]
RULES = LaneRules(
    "books.journal", per_write=1, window_records=8, retry=RetryPolicy(attempts=3, first_s=1, max_s=1), probe_s=5
)


@dataclass(frozen=True)
class Written:
    """One record of a topic."""

    n: int
    key: str | None
    origin: int
    """Its offset in its topic."""
    is_given_up: bool = False
    unmapped: bool = False

    @property
    def id(self) -> str:
        return f"e{self.n}"


@dataclass
class Durable:
    """What Kafka holds of the worker's progress."""

    offsets: dict[Partition, int] = field(default_factory=lambda: dict.fromkeys(ALL, 0))
    lines: dict[ParkedKey, list[str]] = field(default_factory=dict)
    letters: dict[str, Written] = field(default_factory=dict)
    """Every record that ever became a letter."""
    discarded: set[str] = field(default_factory=set)

    def waiting(self) -> set[str]:
        return {event_id for line in self.lines.values() for event_id in line}


class LaneWorld:
    """The target refuses the numbers of `refused`; `effects` is what it has seen: life, number."""

    def __init__(self, rules: LaneRules = RULES) -> None:
        self.rules = rules
        self.logs: dict[Partition, list[Written]] = {partition: [] for partition in ALL}
        self.durable = Durable()
        self.refused: set[int] = set()
        self.effects: list[tuple[int, int]] = []
        self.life = 0
        """Begins with a worker, and when the answer to a write is lost: what comes may repeat what was."""
        self.now = 0.0
        self.keys: list[str | None] = []
        self.take_over()

    def take_over(self) -> None:
        """A new worker begins, and knows what is durable; of the one before it nothing is left."""
        self.life += 1
        self.flights: list[Flight] = []
        self.lanes = Lanes(self.rules, dict(self.durable.offsets), {k: list(v) for k, v in self.durable.lines.items()})

    def publish(self, key: str | None = "a", *, refused: bool = False, unmapped: bool = False) -> int:
        n = len(self.keys)
        self.keys.append(key)
        if refused:
            self.refused.add(n)
        log = self.logs[Partition(TOPIC, PARTITION_OF[key])]
        log.append(Written(n, key, len(log), unmapped=unmapped))
        return n

    def redrive(self, ids: Iterable[str], *, given_up: bool = False, mended: bool = True) -> None:
        for event_id in ids:
            letter = self.durable.letters[event_id]
            partition = Partition(REDRIVE, PARTITION_OF[letter.key])
            self.logs[partition].append(replace(letter, is_given_up=given_up, unmapped=letter.unmapped and not mended))

    def fetch(self, partition: Partition, count: int = 1000) -> None:
        start = self.lanes.next_to_fetch(partition)
        found = self.logs[partition][start : start + count]
        self.lanes.admit([item_of(partition, start + at, written) for at, written in enumerate(found)])

    def start(self, at_most: int = 1000) -> Flight | None:
        flight = self.lanes.start(self.now, at_most)
        if flight is not None:
            self.flights.append(flight)
        return flight

    def land(self, flight: Flight, error: Exception | None = None, *, has_effect: bool = True) -> None:
        """The write ends; without an error as the target has it."""
        self.flights.remove(flight)
        refused = [n for n in numbers(flight) if n in self.refused]
        if error is None and refused:
            self.lanes.failed(flight, Rejected(f"{refused} refused"), self.now)
            return
        if has_effect and not refused:
            self.effects += [(self.life, n) for n in numbers(flight)]
            self.life += error is not None
        if error is None:
            self.lanes.delivered(flight)
        else:
            self.lanes.failed(flight, error, self.now)

    def commit(self, *, is_heard: bool = True) -> Checkpoint | None:
        """The transaction of the checkpoint; if it is not heard the worker does not know that it was done."""
        checkpoint = self.lanes.checkpoint()
        if checkpoint is not None:
            self._keep(checkpoint)
            if is_heard:
                self.lanes.is_durable(checkpoint)
        return checkpoint

    def work(self) -> None:
        """Once what a worker does all the time."""
        for partition in ALL:
            if self.lanes.has_room and (self.lanes.cap is None or partition.topic == REDRIVE):
                self.fetch(partition, 5)
        while self.start() is not None:
            pass
        for flight in list(self.flights):
            self.land(flight)
        self.commit()

    def settle(self, *, rounds: int = 200) -> None:
        """Runs until nothing is left to do."""
        for _ in range(rounds):
            self.now += 10
            self.work()
            if all(self.durable.offsets[partition] == len(log) for partition, log in self.logs.items()):
                return

    def delivered(self) -> list[int]:
        return [n for _, n in self.effects]

    def _keep(self, checkpoint: Checkpoint) -> None:
        self.durable.offsets |= checkpoint.offsets
        outcomes = checkpoint.outcomes
        for item, _ in outcomes.letters:
            self.durable.letters[item.event_id] = self._written(item)
        for item in outcomes.parked:
            self.durable.lines.setdefault(item.scope, []).append(item.event_id)
        for item in outcomes.released:
            line = self.durable.lines[item.scope]
            line.remove(item.event_id)
            if not line:
                del self.durable.lines[item.scope]
            if item.is_given_up:
                self.durable.discarded.add(item.event_id)

    def _written(self, item: Item) -> Written:
        return self.logs[item.partition][item.offset]


def item_of(partition: Partition, offset: int, written: Written, on_failure: OnFailure = OnFailure.PARK) -> Item:
    key = None if written.key is None else written.key.encode()
    is_redriven = partition.topic == REDRIVE
    headers = [(ID, written.id.encode())]
    if is_redriven:
        origin = (TOPIC, str(PARTITION_OF[written.key]), str(written.origin))
        headers += [(name, part.encode()) for name, part in zip(ORIGIN_HEADERS, origin, strict=True)]
    if written.is_given_up:
        headers.append((DROP, b"somebody"))
    message = RawMessage(partition.topic, partition.number, offset, key, b"v", headers)
    event = Event(id=written.id, key=written.key)
    outcome: Mapped | Failure | GivenUp = Mapped(event, [{"n": written.n}])
    if written.unmapped:
        outcome = Failure(Rejected("the mapping does not take it"), "books.journal", "map")
    if written.is_given_up and is_redriven:
        outcome = GivenUp()
    return Item(message, partition, event, outcome, on_failure, is_redriven=is_redriven)


def numbers(flight: Flight) -> list[int]:
    return [int(row["n"]) for record in flight.records for row in record.rows]


def by_key(numbered: Iterable[int], keys: Sequence[str | None]) -> dict[str, list[int]]:
    """The numbers of each key, in order; records without a key have none."""
    found: dict[str, list[int]] = defaultdict(list)
    for n in numbered:
        if (key := keys[n]) is not None:
            found[key].append(n)
    return found


def firsts(numbered: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(numbered))


def not_durable(world: LaneWorld, partitions: Collection[Partition]) -> set[int]:
    """The records of these partitions that have had an effect, and that a successor would not pass over."""
    seen = set(world.delivered())
    return {w.n for p in partitions for at, w in enumerate(world.logs[p]) if w.n in seen and not is_done(world, p, at)}


def is_done(world: LaneWorld, partition: Partition, offset: int) -> bool:
    """Whether a successor would pass over it."""
    at = world.durable.offsets[partition]
    return offset < at or offset in read_note(at, note_of(at))
