"""Worker processes of a plain sink that are killed, stopped and woken, and how each of them behaves as a zombie."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from mainstem.failpoint import VARIABLE
from tests.backbone_process import BackboneProcess
from tests.chaos.journal import Journal

SESSION_S = 2
"""After so long without a sign of life a worker has lost its partitions."""
SLEEPS_S = 20.0
"""At most: one whose work nobody takes over is woken all the same, and is no zombie."""
TAKEN_OVER = "partitions taken over"
ARMED = 0.5
"""The share of the lives that end at a failpoint, if nothing else ends them before."""
ARMS: Mapping[str, int] = {
    "sink.taken_over": 2,
    "sink.before_write": 300,
    "sink.before_commit": 20,
    "sink.after_commit": 20,
}
"""Failpoints, and the highest hit at which they kill."""


@dataclass(eq=False)
class Hand:
    """One worker process, life after life."""

    backbone: BackboneProcess
    stopped_at: float | None = None
    outrun_at: int = 0
    """How often the others had taken over when it was stopped."""
    is_killed: bool = False
    arms: str = ""

    @property
    def is_up(self) -> bool:
        return self.stopped_at is None and not self.is_killed and not self.backbone.has_ended()

    @property
    def takeovers(self) -> int:
        """How often it has taken partitions over, in all of its lives."""
        return self.backbone.log().count(TAKEN_OVER)


@dataclass(eq=False)
class Zombie:
    """One that woke up when others had its work; what it did until it had work of its own again."""

    pid: str
    woken_at: float
    hand: Hand
    takeovers: int
    has_work_at: float | None = field(default=None)


class HttpCrew:
    """Keeps every worker alive. `tend` is to be called again and again."""

    def __init__(self, folder: Path, ports: Sequence[int], dice: random.Random, journal: Journal) -> None:
        env = {"MAINSTEM_KAFKA__SESSION_TIMEOUT_S": str(SESSION_S)}
        self.hands = [Hand(BackboneProcess(folder, port, env=env)) for port in ports]
        self.zombies: list[Zombie] = []
        self._dice = dice
        self._journal = journal
        self._armed = 0.0

    def arm(self) -> None:
        """From now on a share of those that begin end at a failpoint."""
        self._armed = ARMED

    def start(self) -> None:
        for hand in self.hands:
            self._begin(hand)

    def kill(self) -> bool:
        """kill -9 of one that is up."""
        return self._to_one(self._kill)

    def put_to_sleep(self) -> bool:
        """SIGSTOP of one that is up, if another one is."""
        return sum(hand.is_up for hand in self.hands) > 1 and self._to_one(self._stop)

    def tend(self) -> list[str]:
        """Starts the dead again, wakes who has been outrun, and looks who has work again.

        Gives the faults that failpoints have struck meanwhile.
        """
        struck = []
        for hand in self.hands:
            if hand.backbone.has_ended():
                code = hand.backbone.stop(signal.SIGKILL)  # it is dead: this asks for its exit code
                if not hand.is_killed and not hand.arms:
                    raise RuntimeError(f"a worker ended by itself with {code}: {hand.backbone.log()[-2000:]}")
                struck += [] if hand.is_killed else [f"killed at {hand.arms.partition('=')[0]}"]
                self._begin(hand)
            elif hand.stopped_at is not None:
                self._wake_in_time(hand, hand.stopped_at)
        for zombie in self.zombies:
            if zombie.has_work_at is None and zombie.hand.takeovers > zombie.takeovers:
                zombie.has_work_at = monotonic()
        return struck

    def calm(self) -> None:
        """From now on nobody begins with a failpoint; those that have one end at once."""
        self._armed = 0.0
        for hand in self.hands:
            if hand.arms and hand.is_up:
                self._kill(hand)

    @property
    def is_calm(self) -> bool:
        return all(hand.is_up for hand in self.hands)

    def last_words(self) -> str:
        return "\n".join(hand.backbone.log()[-1500:] for hand in self.hands)

    def _begin(self, hand: Hand) -> None:
        hand.is_killed, hand.stopped_at, hand.arms = False, None, self._arms()
        hand.backbone.start("--only", "sinks", env={VARIABLE: hand.arms})
        self._journal.note(f"pid {hand.backbone.pid} begins {hand.arms}")

    def _arms(self) -> str:
        if self._dice.random() >= self._armed:
            return ""
        point = self._dice.choice(list(ARMS))
        return f"{point}=kill#{self._dice.randint(1, ARMS[point])}"

    def _kill(self, hand: Hand) -> None:
        hand.is_killed = True
        self._journal.note(f"pid {hand.backbone.pid} is killed")
        hand.backbone.send(signal.SIGKILL)

    def _stop(self, hand: Hand) -> None:
        hand.stopped_at, hand.outrun_at = monotonic(), self._takeovers_of_others(hand)
        self._journal.note(f"pid {hand.backbone.pid} is stopped")
        hand.backbone.send(signal.SIGSTOP)

    def _wake_in_time(self, hand: Hand, stopped_at: float) -> None:
        slept = monotonic() - stopped_at
        is_outrun = slept > SESSION_S and self._takeovers_of_others(hand) > hand.outrun_at
        if not is_outrun and slept < SLEEPS_S:
            return
        hand.stopped_at = None
        if is_outrun:
            self.zombies.append(Zombie(str(hand.backbone.pid), monotonic(), hand, hand.takeovers))
        self._journal.note(f"pid {hand.backbone.pid} is woken{', a zombie' if is_outrun else ''}")
        hand.backbone.send(signal.SIGCONT)

    def _takeovers_of_others(self, hand: Hand) -> int:
        return sum(other.takeovers for other in self.hands if other is not hand)

    def _to_one(self, act: Callable[[Hand], None]) -> bool:
        up = [hand for hand in self.hands if hand.is_up]
        if up:
            act(self._dice.choice(up))
        return bool(up)
