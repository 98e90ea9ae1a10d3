"""Replays during live load: their processes are killed, stopped and woken, their COMMITs lost, their connections cut.

A replay writes into the very table that the live worker appends to, which would take any second copy. The live worker
is never harmed: what it delivers, its offsets, its parked keys and its lag have to be as if there were no replays.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic

from mainstem.recover.replay import JOBS, JobState
from tests.backbone_process import until
from tests.chaos import nemesis
from tests.chaos.epochs import intruders, read_moves
from tests.chaos.nemesis import Fault
from tests.chaos.oracle import Verdict
from tests.chaos.postgres_proxy import Fate
from tests.chaos.replay_field import ReplayField
from tests.chaos.replay_lives import ENDS_WITHIN_S, Life, Replay
from tests.chaos.replay_verdict import judge_live, judge_replay, trespasses
from tests.chaos.scenario import Ground, Tally

FAULTS_PER_REPLAY = (3, 6)
ARMS = ("replay.before_commit", "replay.after_commit")
DELAY_S = (0.0, 1.5)
"""From the first rows of a life to what happens to it."""
LATE_S = (0.5, 3.0)
DISTURBANCES = 3


class Replays:
    """See the module."""

    name = "replay"

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        began = monotonic()
        with ReplayField(ground, dice) as field:
            struck: Counter[str] = Counter()
            while struck.total() < faults:
                wanted = min(faults - struck.total(), dice.randint(*FAULTS_PER_REPLAY))
                struck += _Ordeal(field, field.begin(), dice).run(wanted)
            field.settle()
            tally = self._tally(field, struck, monotonic() - began)
            if not tally.wrong:
                field.remove()
            return tally

    def _tally(self, field: ReplayField, faults: Mapping[str, int], seconds: float) -> Tally:
        verdict = Verdict.together([judge_live(field), *(judge_replay(field, replay) for replay in field.replays)])
        guilty = intruders(read_moves(field.connection))
        woken = [writer for replay in field.replays for writer in replay.woken]
        wrong = trespasses(field)
        replayed = sum(replay.job.plan.records for replay in field.replays)
        return Tally.of(
            self.name,
            verdict,
            faults=faults,
            records=len(field.movements.published) + replayed,
            zombies_woken=len(woken),
            zombies_fenced=sum(writer not in guilty for writer in woken),
            intrusions=len(guilty) + len(wrong),
            longest_recovery_s=round(field.recovery.longest_s, 1),
            seconds=round(seconds, 1),
            notes=(*wrong, f"{len(field.replays)} replays of {replayed} records in all"),
        )


class _Ordeal:
    """One replay: life after life until so many faults have struck, then a last one that nobody harms."""

    def __init__(self, field: ReplayField, replay: Replay, dice: random.Random) -> None:
        self._field = field
        self._replay = replay
        self._dice = dice
        self._struck: Counter[str] = Counter()
        self._is_done = False

    def run(self, faults: int) -> Counter[str]:
        acts: list[tuple[float, Callable[[], None]]] = [
            (4, self._kill),
            (4, self._kill_at_failpoint),
            (2, self._stop_and_wake),
            (2, self._disturb),
        ]
        while self._struck.total() < faults and not self._is_done:
            (act,) = self._dice.choices([act for _, act in acts], [weight for weight, _ in acts])
            act()
        if not self._is_done:
            self._end(self._replay.live())
        return self._struck

    def _kill(self) -> None:
        life = self._at_work()
        self._count("replay killed", life.send(signal.SIGKILL))
        self._end(life)

    def _kill_at_failpoint(self) -> None:
        name = self._dice.choice(ARMS)
        life = self._replay.live(f"{name}=kill#{self._dice.randint(1, 3)}")
        self._end(life)
        self._count(f"kill at {name}", life.process.returncode == -signal.SIGKILL)

    def _stop_and_wake(self) -> None:
        """Whoever resumes a replay whose process hangs has it from then on."""
        zombie = self._at_work()
        if not zombie.send(signal.SIGSTOP):
            self._end(zombie)
            return
        self._count("replay stopped", True)
        heir = self._at_work()
        self._replay.wake(zombie, has_heir=self._field.rows_of(heir.writer) > 0)
        self._end(heir)

    def _disturb(self) -> None:
        """The process lives, and has to find out what became of its batch, more than once."""
        life = self._at_work()
        disturbed: list[str] = []
        for _ in range(self._dice.randint(1, DISTURBANCES)):
            fault = self._disturbance()
            if not life.has_ended() and fault.strike():
                self._count(fault.name, True)
                disturbed.append(fault.name)
            self._field.spend(self._dice.uniform(*DELAY_S))
        self._end(life)
        if not self._is_done:
            self._replay.gave_up.append(f"{life.writer} ended with {life.process.returncode} after {disturbed}")

    def _disturbance(self) -> Fault:
        fate, proxy = self._dice.choice([*Fate, None]), self._field.proxy
        if fate is None:
            return nemesis.cut(proxy)
        return nemesis.lose_commit(proxy, fate, self._dice.uniform(*LATE_S))

    def _at_work(self) -> Life:
        """A new life that has written something, a moment ago; or one that has ended."""
        life = self._replay.live()
        until(
            lambda: life.has_ended() or self._field.rows_of(life.writer) > 0,
            within_s=ENDS_WITHIN_S,
            what=self._replay.last_words,
        )
        self._field.spend(self._dice.uniform(*DELAY_S))
        return life

    def _end(self, life: Life) -> None:
        """Waits for its end. Whether the replay is done is in its record: it may have been killed right after that."""
        until(lambda: self._has_ended(life), within_s=ENDS_WITHIN_S, what=self._replay.last_words)
        self._is_done = JOBS.find(self._field.services.config, self._replay.job.id).state is JobState.DONE

    def _has_ended(self, life: Life) -> bool:
        self._field.tend()
        return life.has_ended()

    def _count(self, fault: str, has_struck: bool) -> None:
        if has_struck:
            self._struck[fault] += 1
            self._field.recovery.strike(fault, monotonic())


SCENARIO = Replays()
