"""Pulled sources under kills and sleeps: two processes share them, and one end after another comes to each.

Every source has a file of numbered lines, read in many small batches; when it is read to its end another one is put in
its place. Every line of every file is judged: seen once by read_committed readers, in order per key.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import ExitStack
from statistics import median
from time import monotonic, sleep
from types import TracebackType
from typing import Self

import orjson
from confluent_kafka import Consumer, TopicPartition

from mainstem.app.apply import wanted_topics
from mainstem.app.services import Services
from mainstem.event import Partition
from mainstem.kafka.positions import POSITIONS
from mainstem.kafka.reader import reading
from tests.backbone_process import until
from tests.chaos.journal import Journal
from tests.chaos.oracle import History, Mark, judge
from tests.chaos.recovery import Recovery
from tests.chaos.scenario import Ground, Tally
from tests.chaos.source_readers import SESSION_S, Reader, Readers
from tests.file_project import FileProject, open_project, read_marks

READERS = 2
SOURCES = 3
LINES = 3000
BATCH = 5
LOOK_S = 0.1
STARTS_WITHIN_S = 120.0
SETTLES_WITHIN_S = 120.0
STALLS_S = 120.0
"""Longer than any recovery may take, on a machine with other work too."""


class Positions:
    """How far each source is, as read_committed readers see it: content and lines. Use as a context manager."""

    def __init__(self, services: Services, parts: list[str]) -> None:
        self.known: dict[str, tuple[str, int]] = {}
        self._parts = parts
        self._consumer = Consumer(
            {**services.config, "group.id": "_mainstem.chaos.positions", "enable.auto.commit": False}
        )
        place = Partition(POSITIONS, 0)
        self._consumer.assign([TopicPartition(*place, services.admin.ends([place])[place])])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def look(self) -> None:
        while messages := self._consumer.consume(1000, 0.01):
            for message in messages:
                part, value = (message.key() or b"").decode(), message.value()
                if message.error() is None and part in self._parts and value is not None:
                    position = orjson.loads(value)["position"]
                    self.known[part] = (position["content"][:16], position["offset"])


class Feed:
    """The sources' files: never read to the end for long."""

    def __init__(self, project: FileProject) -> None:
        self.published: list[Mark] = []
        self._project = project
        self._files: dict[str, tuple[int, str]] = {}
        """Which file it is, counted from 0, and its content."""
        for number, part in enumerate(project.parts):
            self._write(number, part, 0)

    def tend(self, known: dict[str, tuple[str, int]]) -> None:
        for number, part in enumerate(self._project.parts):
            if self._is_read(part, known):
                self._write(number, part, self._files[part][0] + 1)

    def is_read(self, known: dict[str, tuple[str, int]]) -> bool:
        return all(self._is_read(part, known) for part in self._project.parts)

    def lines(self, known: dict[str, tuple[str, int]]) -> dict[tuple[str, int], int]:
        """How many of all lines of each source are read: never fewer than before."""
        return {(part, 0): self._lines(part, known) for part in self._project.parts}

    def _lines(self, part: str, known: dict[str, tuple[str, int]]) -> int:
        file, content = self._files[part]
        read, offset = known.get(part, ("", 0))
        return file * LINES + (offset if read == content else 0)

    def _is_read(self, part: str, known: dict[str, tuple[str, int]]) -> bool:
        return known.get(part) == (self._files[part][1], LINES)

    def _write(self, number: int, part: str, file: int) -> None:
        marks = self._project.write(number, LINES, first=file * LINES)
        self.published += marks
        self._files[part] = (file, marks[0].event_id.partition(":")[0])


class SourceField:
    """Readers, their files, and how far they are. Use as a context manager."""

    def __init__(self, ground: Ground, dice: random.Random) -> None:
        self.faults: Counter[str] = Counter()
        self.recoveries: list[Recovery] = []
        self._ground = ground
        self._dice = dice
        self._began = self._last_strike = monotonic()
        self._journal = Journal(ground.folder / f"journal-{ground.tag}.txt")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            ground = self._ground
            folder = ground.folder / f"lines-{ground.tag}"
            self.project = open_project(folder, ground.tag, ground.stack, sources=SOURCES, batch_events=BATCH)
            self.feed = Feed(self.project)
            self.services = stack.enter_context(self.project.services())
            self.positions = stack.enter_context(Positions(self.services, self.project.parts))
            readers = [self._reader(stack, f"r{number}") for number in range(READERS)]
            self.readers = Readers(readers, self._dice, self._struck, self._journal)
            self.readers.start()
            until(self._has_begun, within_s=STARTS_WITHIN_S, what=self.readers.last_words)
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._exits.close()

    def tend(self) -> None:
        """Lets a moment pass, and does what is due."""
        sleep(LOOK_S)
        self.positions.look()
        lines = self.feed.lines(self.positions.known)
        for recovery in self.recoveries:
            recovery.see(lines, monotonic())
        self.feed.tend(self.positions.known)
        self.readers.tend()
        stalled = [one for one in self.recoveries if not one.is_over and monotonic() - self._last_strike > STALLS_S]
        assert not stalled, f"no recovery within {STALLS_S:g} s: {self.readers.last_words()}"

    def settle(self) -> None:
        """No more faults; returns when every line of every file is durable."""
        self.readers.calm()
        until(self._is_settled, within_s=SETTLES_WITHIN_S, what=self.readers.last_words)

    def tally(self, name: str) -> Tally:
        published = {mark.event_id: mark for mark in self.feed.published}
        seen = read_marks(self.services, self.project.topic, published)
        woken, fenced = self.readers.fenced()
        times = [recovery.longest_s for recovery in self.recoveries if recovery.is_over]
        aborted = self._written() - len(seen)
        return Tally.of(
            name,
            judge(History(self.feed.published, seen)),
            faults=self.faults,
            records=len(published),
            zombies_woken=woken,
            zombies_fenced=fenced,
            longest_recovery_s=round(max(times, default=0.0), 2),
            seconds=round(monotonic() - self._began, 1),
            notes=(
                f"all sources went on {median(times or [0]):.1f} s after a fault (median; session of {SESSION_S:g} s)",
                f"{aborted} records of aborted transactions, seen by nobody",
            ),
        )

    def remove(self) -> None:
        """The project's topics and its group."""
        for reader in self.readers.readers:
            reader.backbone.kill()
        theirs = [spec.name for spec in wanted_topics(self.services.project) if self.project.tag in spec.name]
        self.services.admin.delete(theirs)

    def _reader(self, stack: ExitStack, name: str) -> Reader:
        backbone = self.project.process(self._ground.free_port(), session_s=SESSION_S)
        return Reader(name, stack.enter_context(backbone), self._dice)

    def _has_begun(self) -> bool:
        self.positions.look()
        return len(self.positions.known) == SOURCES

    def _is_settled(self) -> bool:
        self.positions.look()
        self.readers.tend()
        return self.readers.are_well and self.feed.is_read(self.positions.known)

    def _struck(self, fault: str) -> None:
        self.faults[fault] += 1
        self._last_strike = monotonic()
        recovery = Recovery()
        recovery.see(self.feed.lines(self.positions.known), self._last_strike)
        recovery.strike(fault, self._last_strike)
        self.recoveries.append(recovery)

    def _written(self) -> int:
        """Records in the topic, those of aborted transactions included."""
        topic, config = self.project.topic, self.services.config
        with reading(config, isolation="read_uncommitted") as reader:
            ends = self.services.admin.ends(reader.partitions(topic))
            return sum(len(batch) for batch in reader.read({place: (0, end) for place, end in ends.items()}))


class SourcesUnderFaults:
    """See the module."""

    name = "sources"

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        with SourceField(ground, dice) as field:
            while field.faults.total() < faults:
                field.tend()
            field.settle()
            tally = field.tally(self.name)
            if not tally.wrong:
                field.remove()
            return tally


SCENARIO = SourcesUnderFaults()
