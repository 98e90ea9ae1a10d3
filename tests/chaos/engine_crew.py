"""Workers of the engine that die, fall asleep, are replaced, come and go: in one consumer group, life after life."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.chaos.engine_life import NONE, SESSION_S, Life, Zombie
from tests.chaos.journal import Journal

FALLS_WITHIN_S = 5.0
LEAVES_WITHIN_S = 30.0
SHARE = 0.2
"""One that is to fall over does so in one of the next five commits."""
LOOK_S = 0.02
GONE_WITHIN_S = 10.0
ENDS = {0, os.EX_TEMPFAIL, -signal.SIGKILL}
"""Exit codes that say nothing bad. One that could not begin because Kafka was away ends with 1, and begins anew."""


class Crew:
    """Keeps every worker alive: starts the dead again, wakes the sleeping when their time is over."""

    def __init__(
        self, names: list[str], folder: Path, settings: Mapping[str, Any], dice: random.Random, journal: Journal
    ) -> None:
        self.zombies: list[Zombie] = []
        self.ends: Counter[str] = Counter()
        """Exit codes, with the reason where one ended by itself."""
        self.unplanned: list[str] = []
        """Falls that came when nobody waited for them any more."""
        self._folder = folder
        self._settings = settings
        self._dice = dice
        self._journal = journal
        self._counts: Counter[str] = Counter()
        self._homes: Counter[str] = Counter()
        self._stays = set(names)
        self._lives = {name: self._begin(name) for name in names}
        self._ghosts: list[Life] = []
        """Those that sleep while a successor has their name."""

    def kill(self) -> bool:
        """kill -9 of one that is at work."""
        life = self._one()
        if life is not None:
            life.kill()
            self._journal.note(f"{life.name} is killed, it has {sorted(life.places)}")
        return life is not None

    def stop(self, for_s: float) -> bool:
        """SIGSTOP of one that is at work, if another one is up."""
        life = self._one()
        if life is None or self._up() < 2:
            return False
        life.stop(for_s)
        self._journal.note(f"{life.name} is stopped for {for_s:.1f} s, it has {sorted(life.places)}")
        return True

    def replace(self, for_s: float) -> bool:
        """SIGSTOP of one that is at work, and its successor comes while it sleeps: on another machine, as it were."""
        life = self._one()
        if life is None:
            return False
        life.stop(for_s)
        self._ghosts.append(life)
        self._homes[life.worker] += 1
        self._lives[life.worker] = self._begin(life.worker)
        self._journal.note(f"{life.name} is stopped for {for_s:.1f} s and replaced")
        return True

    def fall(self, action: str, place: str, for_s: float) -> bool:
        """One that is at work kills or stops itself in the middle of a commit; waits a moment until it has."""
        life = self._one()
        if life is None:
            return False
        life.arm(action, place, SHARE)
        deadline = monotonic() + FALLS_WITHIN_S
        while life.code is None and not life.is_stopped and monotonic() < deadline:
            sleep(LOOK_S)
        if life.is_stopped:
            life.sleeps(for_s)
        has_fallen = life.is_stopped or life.code == -signal.SIGKILL
        life.is_struck = life.code == -signal.SIGKILL
        self._journal.note(f"{life.name}: {life.fall}, {f'for {for_s:.1f} s' if has_fallen else 'but not yet'}")
        return has_fallen

    def join(self, name: str) -> None:
        """One more, until it `leave`s."""
        self._lives[name] = self._begin(name)

    def leave(self, name: str) -> None:
        """One is asked to end. Those that stay come again at once."""
        life = self._lives.get(name)
        if life is not None:
            life.leave()
            self._journal.note(f"{life.name} leaves")

    def tend(self, *, begins: bool) -> None:
        """To be called again and again. The dead come again if it `begins`: while Kafka is away they would only take
        the processor's time from its start."""
        for name, life in list(self._lives.items()):
            if life.code is not None:
                self._bury(life)
                del self._lives[name]
            else:
                self._look_at(life, partial(self._is_outrun, life))
        for name in [name for name in sorted(self._stays - self._lives.keys()) if begins]:
            self._lives[name] = self._begin(name)
        for ghost in list(self._ghosts):
            if ghost.code is not None:
                self._bury(ghost)
                self._ghosts.remove(ghost)
            else:
                self._look_at(ghost, partial(self._has_successor, ghost))

    def fenced(self) -> tuple[int, int]:
        """Of the zombies that lived long enough to notice anything: how many, and how many left the work."""
        found = [zombie.is_fenced for zombie in self.zombies]
        return len(found) - found.count(None), found.count(True)

    def has(self, name: str) -> bool:
        return name in self._lives

    @property
    def is_well(self) -> bool:
        """All are up, nobody sleeps."""
        return self._lives.keys() == self._stays and all(life.is_up for life in [*self._lives.values(), *self._ghosts])

    def calm(self) -> None:
        """Nobody falls over any more by itself: those that still might are killed."""
        for life in self._lives.values():
            if life.fall and life.sleep is None:
                life.kill()
                self._journal.note(f"{life.name} is killed, for it might {life.fall}")

    def end(self, within_s: float) -> None:
        """Asks all to end, and kills those that do not."""
        for life in [*self._lives.values(), *self._ghosts]:
            life.wake()
            life.leave()
        deadline = monotonic() + within_s
        for life in [*self._lives.values(), *self._ghosts]:
            while life.code is None and monotonic() < deadline:
                sleep(LOOK_S)
            if life.code is None:
                life.kill()
            life.wait(GONE_WITHIN_S)
            self.ends[life.end] += 1

    def last_words(self) -> str:
        """The end of each log, for whoever has waited in vain."""
        return "\n".join(f"{life.name}:\n{life.log()[-3000:]}" for life in [*self._lives.values(), *self._ghosts])

    def _one(self) -> Life | None:
        found = [life for life in self._lives.values() if life.is_up and not life.fall and life.places]
        return self._dice.choice(found) if found else None

    def _up(self) -> int:
        return sum(life.is_up for life in self._lives.values())

    def _look_at(self, life: Life, is_outrun: Callable[[], bool]) -> None:
        now = monotonic()
        if life.sleep is not None:
            if now < life.sleep.until:
                return
            is_zombie = bool(life.sleep.places) and now - life.sleep.since > SESSION_S and is_outrun()
            if is_zombie:
                self.zombies.append(Zombie(life, len(life.log())))
            self._journal.note(f"{life.name} is woken{', a zombie' if is_zombie else ''}")
            life.fall = ""
            life.wake()
        elif life.fall and life.is_stopped:
            life.sleeps(SESSION_S)
            self.unplanned.append(life.fall)
        elif life.leaves_at is not None and now - life.leaves_at > LEAVES_WITHIN_S:
            self._journal.note(f"{life.name} does not leave, and is killed")
            life.kill()

    def _is_outrun(self, life: Life) -> bool:
        others = NONE.union(
            *(other.places for other in self._lives.values() if other is not life and other.sleep is None)
        )
        return life.sleep is not None and life.sleep.places <= others

    def _has_successor(self, ghost: Life) -> bool:
        successor = self._lives.get(ghost.worker)
        return successor is not None and bool(successor.places)

    def _bury(self, life: Life) -> None:
        code = life.wait(0)
        self.ends[life.end] += 1
        self._journal.note(f"{life.name} has ended with {life.end}")
        if code == -signal.SIGKILL and not life.is_struck:
            self.unplanned.append(life.fall)
        if code < 0 and code not in ENDS and life.leaves_at is None:
            raise RuntimeError(f"{life.name} ended by itself with {code}: {life.log()[-3000:]}")

    def _begin(self, worker: str) -> Life:
        self._counts[worker] += 1
        datadir = f"{worker}-{self._homes[worker]}"
        life = Life(worker, self._counts[worker], self._folder, datadir, self._settings)
        self._journal.note(f"{life.name} begins")
        return life
