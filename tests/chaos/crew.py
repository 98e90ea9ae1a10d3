"""Worker processes that die, sleep and come back: several lives of several workers in one consumer group."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import psutil

from mainstem.failpoint import VARIABLE
from tests.backbone_process import BackboneProcess
from tests.chaos.epochs import Holder, Place, held_by, is_outrun
from tests.chaos.journal import Journal
from tests.chaos.postgres_proxy import PostgresProxy
from tests.tcp_proxy import KafkaProxy

SESSION_S = 2
"""After so long without a sign of life a worker has lost its partitions; short: faults follow each other fast."""
SLEEPS_S = 20.0
"""At most: one whose work nobody takes over is woken all the same, and is no zombie."""
ARMS: Mapping[str, int] = {
    "sink.taken_over": 3,
    "sink.before_write": 40,
    "sink.before_commit": 40,
    "sink.after_commit": 40,
    "outbox.before_commit": 4,
    "outbox.after_commit": 4,
}
"""Failpoints, and the highest hit at which they act."""
ACTIONS = ("kill", "kill", "stop")


@dataclass
class Sleep:
    """A worker that is stopped: since when, and what was its own then."""

    since: float
    places: frozenset[Place]


class Wires(NamedTuple):
    """What a worker's connections go through."""

    database: PostgresProxy
    kafka: KafkaProxy | None


class Worker:
    """One of the crew. Its sessions in the database are called after its life: `w1.3`."""

    def __init__(self, name: str, folder: Path, port: int, wires: Wires, env: Callable[[str], dict[str, str]]) -> None:
        self.name = name
        self.wires = wires
        self.sleep: Sleep | None = None
        self.is_killed = False
        """Whether its end was somebody's doing."""
        self.backbone = BackboneProcess(folder, port, env={"MAINSTEM_KAFKA__SESSION_TIMEOUT_S": str(SESSION_S)})
        self._env = env
        self._life = 0
        self._arms = ""

    @property
    def writer(self) -> str:
        return f"{self.name}.{self._life}"

    def start(self, arms: str = "") -> None:
        """Begins a life, which may end at a failpoint: `sink.before_commit=kill#7`."""
        self._life += 1
        self._arms = arms
        self.sleep = None
        self.is_killed = False
        self.backbone.start("--only", "sinks", env={**self._env(self.writer), VARIABLE: arms})

    def kill(self) -> None:
        """kill -9; it also ends one that sleeps."""
        self.is_killed = True
        self.backbone.send(signal.SIGKILL)

    @property
    def is_up(self) -> bool:
        """Neither dead nor asleep."""
        return self.sleep is None and not self.is_killed and not self.backbone.has_ended()

    @property
    def end(self) -> str:
        """What its arms do, as the name of a fault."""
        point, _, action = self._arms.partition("#")[0].partition("=")
        return f"{action} at {point}" if self._arms else ""

    def is_stopped(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return bool(psutil.Process(self.backbone.pid).status() == psutil.STATUS_STOPPED)
        return False


class Crew:
    """Keeps every worker alive: starts the dead again, wakes the sleeping when others have their work."""

    def __init__(self, workers: Sequence[Worker], dice: random.Random, armed: float, journal: Journal) -> None:
        """`armed` is the share of the lives that end at a failpoint, if nothing else ends them before."""
        self.workers = workers
        self.woken: list[str] = []
        """The lives that slept until others had their work, and then woke."""
        self._dice = dice
        self._journal = journal
        self._struck: list[str] = []
        self._armed = armed

    def start(self) -> None:
        for worker in self.workers:
            self._begin(worker)

    def kill_all(self) -> None:
        """The end: nobody is started again."""
        for worker in self.workers:
            worker.backbone.kill()

    def kill(self, holders: Mapping[Place, Holder]) -> bool:
        """kill -9 of one that is at work."""
        return self._to_one(holders, Worker.kill)

    def put_to_sleep(self, holders: Mapping[Place, Holder]) -> bool:
        """SIGSTOP of one that is at work, if another one is up: somebody has to take its work over."""
        if sum(worker.is_up for worker in self.workers) < 2:
            return False
        return self._to_one(holders, lambda worker: self._stop(worker, holders))

    def one(self, holders: Mapping[Place, Holder]) -> Worker | None:
        """Any that is at work: it is up and has taken something over."""
        found = [worker for worker in self.workers if worker.is_up and held_by(worker.writer, holders)]
        return self._dice.choice(found) if found else None

    def tend(self, holders: Mapping[Place, Holder]) -> list[str]:
        """To be called again and again; gives the faults that failpoints have struck meanwhile."""
        for worker in self.workers:
            if worker.backbone.has_ended():
                self._bury(worker)
            elif worker.sleep is None and worker.is_stopped():
                worker.sleep = Sleep(monotonic(), held_by(worker.writer, holders))
                self._struck.append(worker.end)
                self._journal.note(f"{worker.writer} has stopped, it has {sorted(worker.sleep.places)}")
            elif worker.sleep is not None:
                self._wake_in_time(worker, worker.sleep, holders)
        struck, self._struck = self._struck, []
        return struck

    def calm(self) -> None:
        """From now on nobody starts with a failpoint; those that have one end at once."""
        self._armed = 0.0
        for worker in self.workers:
            if worker.end and worker.sleep is None:
                worker.kill()

    def last_words(self) -> str:
        """The end of each log, for whoever has waited in vain."""
        return "\n".join(f"{worker.writer}:\n{_last_lines(worker.backbone.log())}" for worker in self.workers)

    @property
    def is_awake(self) -> bool:
        return all(worker.is_up for worker in self.workers)

    def _stop(self, worker: Worker, holders: Mapping[Place, Holder]) -> None:
        worker.backbone.send(signal.SIGSTOP)
        worker.sleep = Sleep(monotonic(), held_by(worker.writer, holders))
        self._journal.note(f"{worker.writer} is stopped, it has {sorted(worker.sleep.places)}")

    def _wake_in_time(self, worker: Worker, sleep: Sleep, holders: Mapping[Place, Holder]) -> None:
        slept = monotonic() - sleep.since
        is_zombie = bool(sleep.places) and slept > SESSION_S and is_outrun(worker.writer, sleep.places, holders)
        if not is_zombie and slept < SLEEPS_S:
            return
        worker.sleep = None
        worker.backbone.send(signal.SIGCONT)
        self._journal.note(f"{worker.writer} is woken{', a zombie' if is_zombie else ''}")
        if is_zombie:
            self.woken.append(worker.writer)

    def _bury(self, worker: Worker) -> None:
        code = worker.backbone.stop(signal.SIGKILL)  # it is dead: this asks for its exit code
        if code != -signal.SIGKILL:
            raise RuntimeError(f"{worker.writer} ended by itself with {code}: {_last_lines(worker.backbone.log())}")
        if not worker.is_killed:
            self._struck.append(worker.end)
        self._begin(worker)

    def _begin(self, worker: Worker) -> None:
        arms = self._arms()
        worker.start(arms)
        self._journal.note(f"{worker.writer} begins {arms}")

    def _arms(self) -> str:
        if self._dice.random() >= self._armed:
            return ""
        point = self._dice.choice(list(ARMS))
        return f"{point}={self._dice.choice(ACTIONS)}#{self._dice.randint(1, ARMS[point])}"

    def _to_one(self, holders: Mapping[Place, Holder], act: Callable[[Worker], None]) -> bool:
        worker = self.one(holders)
        if worker is None:
            return False
        act(worker)
        self._journal.note(f"{worker.writer} was struck")
        return True


def _last_lines(log: str) -> str:
    """Without the dead letters, of which there are thousands."""
    return "\n".join([line[:400] for line in log.splitlines() if '"dead letter"' not in line][-8:])
