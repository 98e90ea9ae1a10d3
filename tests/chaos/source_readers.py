"""Processes that read the same sources, and meet one end after another: killed or put to sleep, anywhere."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import orjson
import psutil

from mainstem.failpoint import VARIABLE
from tests.backbone_process import BackboneProcess
from tests.chaos.journal import Journal

SESSION_S = 2.0
"""After so long without a sign of life a process has lost its sources; short: faults follow each other fast."""
SLEEPS_S = 20.0
"""At most: one whose sources nobody takes over is woken all the same, and is no zombie."""
POINTS = ("source.read", "source.before_commit", "source.after_commit", "source.acknowledged")
HIGHEST_HIT = 150
AT_WORK_S = (0.3, 3.0)
"""How long one works before it is struck from outside."""
OVERDUE_S = 15.0
"""One that has worked so long without coming to its failpoint is killed instead."""


@dataclass(frozen=True, slots=True)
class End:
    """How a life ends: `kill` or `stop`, at a failpoint or (without one) at any moment."""

    action: str
    point: str = ""

    def __str__(self) -> str:
        return f"{self.action} at {self.point or 'any moment'}"


ENDS = (*(End(action, point) for action in ("kill", "stop") for point in POINTS), End("kill"), End("stop"))


def ends(dice: random.Random) -> Iterator[End]:
    """Every end once, in any order, and again."""
    while True:
        yield from dice.sample(ENDS, len(ENDS))


def held(log: str) -> frozenset[str]:
    """What a process has of the sources, by what it says itself: what it is asked is older by the time it falls
    asleep, and one that had just left them is no zombie when it wakes."""
    said = [line for line in log.splitlines() if '"event": "sources ' in line or line.startswith("listening on")]
    if not said or '"sources taken"' not in said[-1]:
        return frozenset()
    return frozenset(orjson.loads(said[-1])["sources"])


@dataclass(frozen=True, slots=True)
class Sleep:
    """Since when, and the sources that were its own then."""

    since: float
    sources: frozenset[str]


@dataclass(frozen=True, slots=True)
class Zombie:
    """A life that slept until others had its sources, and woke; and where its log was then."""

    name: str
    life: int
    said: int


class Reader:
    """One process in its several lives."""

    def __init__(self, name: str, backbone: BackboneProcess, dice: random.Random) -> None:
        self.name = name
        self.backbone = backbone
        self.life = 0
        self.end: End | None = None
        self.sleep: Sleep | None = None
        self.sources: frozenset[str] = frozenset()
        """What it read when it was last asked."""
        self.is_struck = False
        self._dice = dice
        self._due_at = 0.0

    def start(self, end: End | None) -> None:
        """Begins a life that is to end so; None has no end in sight."""
        self.life += 1
        self.end, self.sleep, self.sources, self.is_struck = end, None, frozenset(), False
        self._due_at = 0.0
        arms = f"{end.point}={end.action}#{self._dice.randint(1, HIGHEST_HIT)}" if end and end.point else ""
        self.backbone.start("--only", "sources", env={VARIABLE: arms})

    def look(self) -> None:
        """Asks it what it reads. From then on it is only a matter of time."""
        parts = self.backbone.parts()
        self.sources = frozenset(name for name, said in parts.items() if ".s" in name and said["state"] == "running")
        if self.sources and not self._due_at and self.end is not None:
            self._due_at = monotonic() + (OVERDUE_S if self.end.point else self._dice.uniform(*AT_WORK_S))

    def is_due(self) -> bool:
        return bool(self._due_at) and monotonic() > self._due_at and not self.is_struck

    def kill(self) -> None:
        """kill -9; it also ends one that sleeps."""
        self.is_struck = True
        self.backbone.send(signal.SIGKILL)

    def fall_asleep(self) -> None:
        self.is_struck = True
        self.sleep = Sleep(monotonic(), held(self.backbone.log()))

    def wake(self) -> None:
        """It is killed a moment later: its failpoint has been hit, or may never be."""
        self.end, self.sleep, self.is_struck, self._due_at = End("kill"), None, False, 0.0
        self.backbone.send(signal.SIGCONT)

    def is_stopped(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(self.backbone.pid).status() == psutil.STATUS_STOPPED)
        return False


class Readers:
    """Keeps them all alive: starts the dead again, wakes the sleeping when others have their sources."""

    def __init__(
        self, readers: Sequence[Reader], dice: random.Random, struck: Callable[[str], None], journal: Journal
    ) -> None:
        self.readers = readers
        self.zombies: list[Zombie] = []
        self._ends: Iterator[End] | None = ends(dice)
        self._struck = struck
        self._journal = journal

    def start(self) -> None:
        for reader in self.readers:
            self._begin(reader)

    def tend(self) -> None:
        """To be called again and again."""
        for reader in self.readers:
            if reader.backbone.has_ended():
                self._bury(reader)
            elif reader.sleep is not None:
                self._wake_in_time(reader, reader.sleep)
            elif reader.is_stopped():
                self._strike(reader, str(reader.end))
                reader.fall_asleep()
            elif not reader.is_struck:
                self._watch(reader)

    def calm(self) -> None:
        """From now on nobody has an end in sight; those that have meet it at once."""
        self._ends = None
        for reader in self.readers:
            if reader.end is not None:
                reader.kill()

    @property
    def are_well(self) -> bool:
        return all(reader.sleep is None and not reader.backbone.has_ended() for reader in self.readers)

    def fenced(self) -> tuple[int, int]:
        """Of those that woke as zombies and lived long enough to say something: how many, and how many said that the
        sources are another one's."""
        words = {zombie: self._words(zombie) for zombie in self.zombies}
        lived = [zombie for zombie, said in words.items() if said or self._reader(zombie).life == zombie.life]
        return len(lived), sum('"lost": true' in words[zombie] or '"standby"' in words[zombie] for zombie in lived)

    def last_words(self) -> str:
        return "\n".join(f"{reader.name}.{reader.life}:\n{reader.backbone.log()[-3000:]}" for reader in self.readers)

    def _words(self, zombie: Zombie) -> str:
        """What it said of its sources after it woke, before another life began."""
        life = self._reader(zombie).backbone.log()[zombie.said :].partition("listening on")[0]
        return "\n".join(line for line in life.splitlines() if "source" in line)

    def _reader(self, zombie: Zombie) -> Reader:
        return next(reader for reader in self.readers if reader.name == zombie.name)

    def _watch(self, reader: Reader) -> None:
        reader.look()
        if not reader.is_due() or reader.end is None:
            return
        if reader.end == End("stop"):
            self._strike(reader, str(reader.end))
            reader.backbone.send(signal.SIGSTOP)
            reader.fall_asleep()
        else:
            self._strike(reader, str(End("kill")))
            reader.kill()

    def _wake_in_time(self, reader: Reader, sleep: Sleep) -> None:
        taken = frozenset[str]().union(*(other.sources for other in self.readers if other is not reader))
        slept = monotonic() - sleep.since
        is_zombie = bool(sleep.sources) and sleep.sources <= taken and slept > SESSION_S
        if not is_zombie and slept < SLEEPS_S:
            return
        if is_zombie:
            self.zombies.append(Zombie(reader.name, reader.life, len(reader.backbone.log())))
        self._journal.note(f"{reader.name}.{reader.life} is woken{', a zombie' if is_zombie else ''}")
        reader.wake()

    def _bury(self, reader: Reader) -> None:
        code = reader.backbone.stop(signal.SIGKILL)  # it is dead: this asks for its exit code
        if code != -signal.SIGKILL:
            raise RuntimeError(f"{reader.name} ended by itself with {code}: {reader.backbone.log()[-3000:]}")
        if not reader.is_struck:
            self._strike(reader, str(reader.end))
        self._begin(reader)

    def _begin(self, reader: Reader) -> None:
        end = None if self._ends is None else next(self._ends)
        reader.start(end)
        self._journal.note(f"{reader.name}.{reader.life} begins, for a {end}")

    def _strike(self, reader: Reader, fault: str) -> None:
        self._journal.note(f"{reader.name}.{reader.life}: {fault}; it had {sorted(reader.sources)}")
        self._struck(fault)
