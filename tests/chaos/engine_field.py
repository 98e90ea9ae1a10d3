"""Where workers of the engine are put under faults: topics and an app of their own, a stream of events, an observer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

from mainstem.kafka.topics import Admin, TopicSpec
from tests.backbone_process import until
from tests.chaos.broker import Broker
from tests.chaos.engine_crew import Crew
from tests.chaos.engine_events import EventStream
from tests.chaos.engine_group import GroupView, shorten_session
from tests.chaos.engine_life import SESSION_S
from tests.chaos.engine_verdict import judge_engine, read_seen
from tests.chaos.journal import Journal
from tests.chaos.nemesis import Agenda, Fault
from tests.chaos.recovery import Recovery
from tests.chaos.scenario import Ground, Tally

WORKERS = ["w1", "w2", "w3"]
PARTITIONS = 3
PER_S = 800
POISON_SHARE = 1 / 2000
MOST_BEHIND_EVENTS = 8_000
"""Then the stream waits for the workers: on a busy machine it would only measure that."""
TRANSACTION_S = 5.0
LOOK_S = 0.1
STARTS_WITHIN_S = 120.0
ENDS_WITHIN_S = 20.0
STALLS_S = 120.0
"""Longer than any recovery may take, on a machine with other work too."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round's workers are."""

    mode: str
    """Of `worker_app.py`."""
    store: str
    protocol: str
    standby: bool
    epoch_events: int

    @classmethod
    def drawn(cls, dice: random.Random) -> Self:
        return cls(
            mode=dice.choice(["step", "async step", "agent", "batches"]),
            store=dice.choice(["memory://", "rocksdb://"]),
            protocol=dice.choice(["classic", "classic", "consumer"]),
            standby=dice.random() < 1 / 3,
            epoch_events=dice.choice([100, 1000, 10_000]),
        )

    @property
    def counts(self) -> bool:
        """Whether there is a table; what takes whole batches has none."""
        return self.mode != "batches"

    def settings(self) -> dict[str, Any]:
        """For each worker."""
        return {
            "mode": self.mode,
            "has_table": self.counts,
            "standby": self.standby and self.counts,
            "store": self.store,
            "session_s": SESSION_S,
            "takes_s": 0.001,
            "engine": {
                "epoch_events": self.epoch_events,
                "batch": 100,
                "transaction_timeout_s": TRANSACTION_S,
                "drain_s": TRANSACTION_S - 1,
                "stall_s": 30.0,
                "group_protocol": self.protocol,
            },
        }

    def __str__(self) -> str:
        store = f", {self.store.partition(':')[0]}{', standby' if self.standby else ''}" if self.counts else ""
        return f"{self.mode}{store}, {self.protocol}, {self.epoch_events} events in a transaction"


class EngineField:
    """Use as a context manager. Faults strike through `strike`; `spend` lets time pass; `settle`, then `tally`."""

    def __init__(self, ground: Ground, plan: Plan, dice: random.Random) -> None:
        self.faults: Counter[str] = Counter()
        self._fenced = (0, 0)
        self.agenda = Agenda()
        self.plan = plan
        self.recovery = Recovery()
        self._ground = ground
        self._dice = dice
        self._began = monotonic()
        self.journal = Journal(ground.folder / f"journal-{ground.tag}.txt")
        self.broker = Broker(ground, self.journal)
        self.reads, self.writes = f"test.in{ground.tag}.v1", f"test.out{ground.tag}.v1"
        self.app = f"test.app{ground.tag}"
        self.letters = f"{self.app}-dead-letters"
        self.changelog = f"{self.app}-counts-changelog" if plan.counts else None
        self.config = {"bootstrap.servers": ground.stack.bootstrap}
        self._admin = Admin(self.config)

    def __enter__(self) -> Self:
        self.journal.note(f"a round of {self.plan}")
        with ExitStack() as stack:
            topics = [TopicSpec(name, PARTITIONS, config={"retention.ms": "-1"}) for name in (self.reads, self.writes)]
            self._admin.create(topics)
            if self.plan.protocol == "consumer":
                shorten_session(self.config, self.app, SESSION_S)
            self.group = stack.enter_context(GroupView(self.config, self.app, self.reads, PARTITIONS))
            share = POISON_SHARE if self.plan.counts else 0.0
            dice = random.Random(self._dice.random())  # the stream draws from it in a thread of its own
            self.stream = EventStream(self.config, self.reads, dice, per_s=PER_S, poison_share=share)
            self.crew = Crew(WORKERS, self._ground.folder, self._settings(), self._dice, self.journal)
            stack.callback(self.crew.end, 0.0)
            stack.enter_context(self.stream)
            until(self._has_begun, within_s=STARTS_WITHIN_S, what=self.crew.last_words)
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._exits.__exit__(kind, error, where)

    def strike(self, fault: Fault) -> bool:
        """Counts it if it finds something to strike at."""
        if not fault.strike():
            return False
        self._struck(fault.name, fault.is_over)
        return True

    def spend(self, seconds: float) -> None:
        """Lets time pass, and does meanwhile what is due."""
        deadline = monotonic() + seconds
        while True:
            self.tend()
            if monotonic() >= deadline:
                return
            sleep(LOOK_S)

    def tend(self) -> None:
        """To be called again and again."""
        self.agenda.do_due()
        if self.group.look():
            self.recovery.see(self.group.positions, monotonic())
        self.stream.is_paused = self._behind() > MOST_BEHIND_EVENTS
        self.crew.tend(begins=self.broker.is_up())
        while self.crew.unplanned:
            self._struck(self.crew.unplanned.pop(), lambda: True)

    def settle(self) -> None:
        """No more faults: waits until the work goes on everywhere, ends the stream, waits until the group has committed
        all of it, and asks the workers to end."""
        self.crew.calm()
        self._while_it_moves(self._unrecovered)
        self.stream.stop()
        self._while_it_moves(self._left)
        self._fenced = self.crew.fenced()
        self.crew.end(ENDS_WITHIN_S)

    def tally(self, scenario: str) -> Tally:
        """Reads what has become of every event and judges it."""
        seen = read_seen(self.config, self.writes, self.letters, self.changelog)
        woken, fenced = self._fenced
        ends = ", ".join(f"{count} with {end}" for end, count in sorted(self.crew.ends.items()))
        return Tally.of(
            scenario,
            judge_engine(self.stream.published, self.stream.poison, seen),
            faults=self.faults,
            records=len(self.stream.published),
            zombies_woken=woken,
            zombies_fenced=fenced,
            intrusions=len(self.group.committed.setbacks),
            longest_recovery_s=round(self.recovery.longest_s, 1),
            seconds=round(monotonic() - self._began, 1),
            notes=(
                f"{self.plan}; {len(seen.letters)} dead letters; workers ended: {ends}",
                f"recovery: half within {self.recovery.median_s:.1f} s, longest after: {self.recovery.longest_of}",
                *self.group.committed.setbacks,
            ),
        )

    def remove(self) -> None:
        """Deletes what only this run needed. Left alone after a defect: it is the evidence."""
        theirs = [self.reads, self.writes, self.letters, *([self.changelog] if self.changelog else [])]
        self._admin.delete(theirs)

    def _settings(self) -> Mapping[str, Any]:
        names = {"app": self.app, "reads": self.reads, "writes": self.writes}
        return {**names, "bootstrap": self._ground.stack.bootstrap, **self.plan.settings()}

    def _struck(self, name: str, is_over: Callable[[], bool]) -> None:
        self.faults[name] += 1
        self.journal.note(f"fault: {name}")
        self.agenda.when(is_over, lambda: self.recovery.strike(name, monotonic()))

    def _has_begun(self) -> bool:
        self.tend()
        return len(self.group.positions) == PARTITIONS

    def _behind(self) -> int:
        return len(self.stream.published) - sum(self.group.positions.values())

    def _while_it_moves(self, left: Callable[[], str]) -> None:
        """Waits until nothing is left. Raises AssertionError when nothing was committed for a while."""
        before: Mapping[tuple[str, int], int] = {}
        moved_at = monotonic()
        while said := left():
            if self.group.positions != before or not self.agenda.is_done:
                before, moved_at = dict(self.group.positions), monotonic()
            assert monotonic() < moved_at + STALLS_S, f"nothing moves for {STALLS_S:g} s: {said}\n{self._state()}"
            sleep(LOOK_S)

    def _unrecovered(self) -> str:
        """What is not as before yet; nothing in the end."""
        self.tend()
        parts = {
            "something is still to be healed": self.agenda.is_done,
            "a worker is not up": self.crew.is_well,
            f"work does not go on everywhere: {self.group.positions}": self.recovery.is_over,
        }
        return "; ".join(what for what, is_well in parts.items() if not is_well)

    def _left(self) -> str:
        """What is not committed yet; nothing in the end."""
        self.tend()
        ends = self.group.ends()
        return "" if ends == self.group.positions else f"the group is at {self.group.positions} of {ends}"

    def _state(self) -> str:
        return f"{self.plan}, after {dict(self.faults)}\n{self.crew.last_words()}"
