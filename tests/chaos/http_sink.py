"""A plain sink under faults: workers killed, stopped and woken, while its server misbehaves in a third of all requests.

The server resets, hangs, says "later", fails, and takes records without saying so; one record in 500 is always refused.
Every effect is judged: none is missing, repeats carry the same key and are no more than promised, order holds per key,
and the letters are exactly the refused records and those behind them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from mainstem.event import Partition
from tests.backbone_process import until
from tests.chaos.http_crew import HttpCrew, Zombie
from tests.chaos.http_project import WINDOW_RECORDS, open_project
from tests.chaos.journal import Journal
from tests.chaos.ledger_verdict import waiting
from tests.chaos.movements import Movements, mark_of
from tests.chaos.oracle import History, Rules, Verdict, judge
from tests.chaos.recovery import Recovery
from tests.chaos.scenario import Ground, Tally
from tests.http_target import HttpTarget, sometimes
from tests.posting_connector import PostingSink

WORKERS = 3
PER_S = 150
MISBEHAVES = 0.3
PAUSE_S = (2.0, 6.0)
"""From one fault to the next."""
LOOK_S = 0.1
STARTS_WITHIN_S = 120.0
SETTLES_WITHIN_S = 120.0


class HttpSink:
    """See the module."""

    name = "http-sink"

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        with HttpField(ground, dice) as field:
            while field.faults.total() < faults:
                field.spend(dice.uniform(*PAUSE_S))
                field.strike(dice.choice(["worker killed", "worker killed", "worker stopped"]))
            field.settle()
            tally = field.tally(self.name)
            if not tally.wrong:
                field.project.remove()
            return tally


class HttpField:
    """The server, the project, the workers and a stream of records. Use as a context manager."""

    def __init__(self, ground: Ground, dice: random.Random) -> None:
        self.faults: Counter[str] = Counter()
        self._ground = ground
        self._dice = dice
        self._began = monotonic()
        self._recovery = Recovery()
        self._ended = 0
        """Workers that were ended without counting as a fault."""

    def __enter__(self) -> Self:
        ground = self._ground
        with ExitStack() as stack:
            misbehaves = sometimes(MISBEHAVES, random.Random(self._dice.random()))
            self.target = stack.enter_context(HttpTarget(ground.free_port(), fails=misbehaves))
            self.project = open_project(ground.folder / f"http-{ground.tag}", ground.tag, ground.stack, self.target.url)
            self.services = stack.enter_context(self.project.services())
            self._group = Consumer({**self.services.config, "group.id": self.project.group})
            stack.callback(self._group.close)
            encoder = self.services.codec.encoder(self.project.topic)
            self.movements = Movements(self.services.config, self.project.topic, encoder, self._dice, PER_S)
            self.target.refused = self.movements.refused.__contains__
            ports = [ground.free_port() for _ in range(WORKERS)]
            journal = Journal(ground.folder / f"http-journal-{ground.tag}.txt")
            self.crew = HttpCrew(self.project.folder, ports, self._dice, journal)
            for hand in self.crew.hands:
                stack.enter_context(hand.backbone)
            self.crew.start()
            stack.enter_context(self.movements)
            until(self._has_begun, within_s=STARTS_WITHIN_S, what=self.crew.last_words)
            self.crew.arm()
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._exits.__exit__(kind, error, where)

    def strike(self, fault: str) -> None:
        """Counts it if it finds something to strike at."""
        if self.crew.kill() if fault == "worker killed" else self.crew.put_to_sleep():
            self._count(fault)

    def _count(self, fault: str) -> None:
        self.faults[fault] += 1
        self._recovery.strike(fault, monotonic())

    def spend(self, seconds: float) -> None:
        """Lets time pass, and does meanwhile what is due."""
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            self._tend()
            sleep(LOOK_S)

    def settle(self) -> None:
        """No more faults: waits until the work goes on everywhere, and then until there is none left."""
        self.crew.calm()
        self._ended += sum(not hand.is_up for hand in self.crew.hands)
        until(self._is_recovered, within_s=SETTLES_WITHIN_S, what=self._state)
        self.movements.stop()
        until(self._is_done, within_s=SETTLES_WITHIN_S, what=self._state)

    def tally(self, scenario: str) -> Tally:
        """Judges every effect and letter."""
        bound = self._bound()
        verdict = self._judge(bound)
        fenced = [zombie for zombie in self.crew.zombies if self._effects_of(zombie) <= PostingSink.in_flight]
        return Tally.of(
            scenario,
            verdict,
            faults=self.faults,
            records=len(self.movements.published),
            zombies_woken=len(self.crew.zombies),
            zombies_fenced=len(fenced),
            longest_recovery_s=round(self._recovery.longest_s, 1),
            seconds=round(monotonic() - self._began, 1),
            notes=(
                f"{verdict.repeats} repeats of {bound} allowed, {self.target.misbehaved['answer lost']} answers lost",
                f"the server misbehaved {self.target.misbehaved.total()} times: {dict(self.target.misbehaved)}",
            ),
        )

    def _judge(self, bound: int) -> Verdict:
        effects = [mark_of(effect.event_id)._replace(token=effect.token) for effect in list(self.target.effects)]
        letters = waiting(self.services.config, self.project.dlq)
        history = History(self.movements.published, effects, waiting=letters, refused=self.movements.refused)
        return judge(history, Rules(repeats=bound))

    def _bound(self) -> int:
        """Repeats that are promised at most: a window for each worker that lost its work, and each answer that was."""
        lost_answers = self.target.misbehaved["answer lost"]
        return (self.faults.total() + self._ended) * WINDOW_RECORDS + lost_answers

    def _effects_of(self, zombie: Zombie) -> int:
        """What it wrote between waking up and having work of its own again: at most what was under way."""
        until_at = zombie.has_work_at or zombie.woken_at + 5
        theirs = [e for e in list(self.target.effects) if e.writer == zombie.pid]
        return sum(zombie.woken_at < effect.at < until_at - LOOK_S for effect in theirs)

    def _tend(self) -> None:
        for fault in self.crew.tend():
            self._count(fault)
        self._recovery.see(self._positions(), monotonic())

    def _positions(self) -> Mapping[tuple[str, int], int]:
        count = self.services.project.defaults.partitions
        asked = [TopicPartition(self.project.topic, number) for number in range(count)]
        try:
            found = self._group.committed(asked, timeout=2)
        except KafkaException:
            return {}
        return {("calls", tp.partition): tp.offset for tp in found if tp.offset >= 0}

    def _has_begun(self) -> bool:
        self._tend()
        return len(self._positions()) == self.services.project.defaults.partitions

    def _is_recovered(self) -> bool:
        self._tend()
        return self.crew.is_calm and self._recovery.is_over

    def _is_done(self) -> bool:
        self._tend()
        ends = self.services.admin.ends([Partition(self.project.topic, number) for _, number in self._positions()])
        return all(self._positions().get(("calls", p.number)) == end for p, end in ends.items())

    def _state(self) -> str:
        return f"after {dict(self.faults)}: at {self._positions()}\n{self.crew.last_words()}"


SCENARIO = HttpSink()
