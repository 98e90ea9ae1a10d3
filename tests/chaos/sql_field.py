"""Where SQL sinks are put under faults: a ledger and its database, workers, a stream of movements, an observer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from mainstem.devstack.ports import HOST
from mainstem.event import Partition
from tests.backbone_process import until
from tests.chaos.crew import Crew, Wires, Worker
from tests.chaos.database import Database
from tests.chaos.epochs import intruders, read_moves
from tests.chaos.journal import Journal
from tests.chaos.ledger import SECRET, SINKS, open_ledger
from tests.chaos.ledger_verdict import judge_ledger
from tests.chaos.movements import Movements
from tests.chaos.nemesis import Agenda, Fault
from tests.chaos.observer import Observer
from tests.chaos.postgres_proxy import PostgresProxy
from tests.chaos.scenario import Ground, Tally
from tests.tcp_proxy import KafkaProxy

PER_S = 1000
MOST_BEHIND_EVENTS = 10_000
"""Then the stream waits for the slowest sink: on a busy machine it would only measure that."""
LOOK_S = 0.1
STARTS_WITHIN_S = 120.0
STALLS_S = 120.0
"""Longer than any recovery may take, on a machine with other work too."""
UNSHIPPED = "SELECT sink, source_partition, count(*) FROM mainstem_letters GROUP BY sink, source_partition"


class SqlField:
    """Use as a context manager. Faults strike through `strike`; `spend` lets time pass; `settle`, then `tally`."""

    def __init__(
        self,
        ground: Ground,
        dice: random.Random,
        *,
        workers: int,
        armed: float = 0.0,
        through_kafka_proxies: bool = False,
    ) -> None:
        """`armed` is the share of the workers' lives that end at a failpoint."""
        self.faults: Counter[str] = Counter()
        self.agenda = Agenda()
        self._ground = ground
        self._dice = dice
        self._workers = workers
        self._armed = armed
        self._through_kafka_proxies = through_kafka_proxies
        self._began = monotonic()
        self.journal = Journal(ground.folder / f"journal-{ground.tag}.txt")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            ground = self._ground
            self.database = stack.enter_context(Database(ground.home / "target", ground.free_port()))
            self.ledger = open_ledger(ground.folder / f"ledger-{ground.tag}", ground.tag, ground.stack, self.database)
            self.observer = Observer(self.database, self.ledger.database, self.ledger.topic, self.journal)
            stack.callback(self.observer.close)
            self.services = stack.enter_context(self.ledger.services())
            encoder = self.services.codec.encoder(self.ledger.topic)
            self.movements = Movements(self.services.config, self.ledger.topic, encoder, self._dice, PER_S)
            workers = [self._worker(stack, f"w{n}") for n in range(self._workers)]
            self.crew = Crew(workers, self._dice, self._armed, self.journal)
            self.crew.start()
            stack.enter_context(self.movements)
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
        self.faults[fault.name] += 1
        self.journal.note(f"fault: {fault.name}")
        self.agenda.when(fault.is_over, lambda: self.observer.strike(fault.name))
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
        self.observer.look()
        self.movements.is_paused = self._behind() > MOST_BEHIND_EVENTS
        for fault in self.crew.tend(self.observer.holders):
            self.faults[fault] += 1
            self.journal.note(f"fault: {fault}")
            self.observer.strike(fault)

    def settle(self) -> None:
        """No more faults: waits until the work goes on everywhere, ends the stream and waits until all is settled."""
        self.crew.calm()
        self._while_it_moves(self._unrecovered)
        self.movements.stop()
        ends = self._ends()
        self._while_it_moves(lambda: self._left(ends))

    def tally(self, scenario: str) -> Tally:
        """Reads what has become of every movement and judges it."""
        with self.database.connect(self.ledger.database) as connection:
            verdict = judge_ledger(self.ledger, self.movements, connection, self.services.config)
            guilty = intruders(read_moves(connection))
        recovery = self.observer.recovery
        return Tally.of(
            scenario,
            verdict,
            faults=self.faults,
            records=len(self.movements.published),
            zombies_woken=len(self.crew.woken),
            zombies_fenced=sum(writer not in guilty for writer in self.crew.woken),
            intrusions=len(guilty),
            longest_recovery_s=round(recovery.longest_s, 1),
            seconds=round(monotonic() - self._began, 1),
            notes=(
                f"recovery: half within {recovery.median_s:.1f} s, longest after: {recovery.longest_of}",
                *sorted(f"{one} intruded" for one in set(guilty)),
            ),
        )

    def remove(self) -> None:
        """Deletes what only this run needed. Left alone after a defect: it is the evidence."""
        self.crew.kill_all()
        self.ledger.remove(self.database)

    def _worker(self, stack: ExitStack, name: str) -> Worker:
        proxy = stack.enter_context(PostgresProxy(HOST, self.database.port))
        kafka = stack.enter_context(self._kafka_proxy()) if self._through_kafka_proxies else None
        bootstrap = {} if kafka is None else {"MAINSTEM_KAFKA__BOOTSTRAP": kafka.address}

        def env(writer: str) -> dict[str, str]:
            return {SECRET: self.database.dsn(self.ledger.database, port=proxy.port, writer=writer), **bootstrap}

        worker = Worker(name, self.ledger.folder, self._ground.free_port(), Wires(proxy, kafka), env)
        stack.enter_context(worker.backbone)
        return worker

    def _kafka_proxy(self) -> KafkaProxy:
        host, _, port = self._ground.stack.bootstrap.rpartition(":")
        return KafkaProxy(host, int(port))

    def _has_begun(self) -> bool:
        self.tend()
        return bool(self.observer.positions)

    def _while_it_moves(self, left: Callable[[], str]) -> None:
        """Waits until nothing is left. Raises AssertionError when nothing has been delivered for a while."""
        before: Mapping[tuple[str, int], int] = {}
        moved_at = monotonic()
        while said := left():
            if self.observer.positions != before or not self.agenda.is_done:
                before, moved_at = self.observer.positions, monotonic()
            assert monotonic() < moved_at + STALLS_S, f"nothing moves for {STALLS_S:g} s: {said}\n{self._state()}"
            sleep(LOOK_S)

    def _unrecovered(self) -> str:
        """What is not as before yet; nothing in the end."""
        self.tend()
        parts = {
            "something is still to be healed": self.agenda.is_done,
            "a worker is not up": self.crew.is_awake,
            "work does not go on everywhere": self.observer.recovery.is_over,
        }
        return "; ".join(what for what, is_well in parts.items() if not is_well)

    def _behind(self) -> int:
        """Events that the slowest sink has yet to deliver."""
        done = dict.fromkeys([f"{self.ledger.integration}.{sink}" for sink in SINKS], 0)
        for (sink, _), offset in self.observer.positions.items():
            done[sink] += offset
        return len(self.movements.published) - min(done.values())

    def _ends(self) -> dict[tuple[str, int], int]:
        """What every sink has to reach in every partition."""
        count = self.services.project.defaults.partitions
        ends = self.services.admin.ends([Partition(self.ledger.topic, number) for number in range(count)])
        sinks = [f"{self.ledger.integration}.{sink}" for sink in SINKS]
        return {(sink, place.number): end for sink in sinks for place, end in ends.items()}

    def _left(self, ends: Mapping[tuple[str, int], int]) -> str:
        """What is not delivered or not shipped yet; nothing in the end."""
        self.tend()
        now = self.observer.positions
        behind = [f"{place} is at {now.get(place)} of {end}" for place, end in ends.items() if now.get(place, 0) != end]
        if behind:
            return "; ".join(behind)
        with self.database.connect(self.ledger.database) as connection:
            letters = connection.execute(UNSHIPPED).fetchall()
        return "; ".join(f"{count} letters of {place} are not shipped" for *place, count in letters)

    def _state(self) -> str:
        return f"after {dict(self.faults)}\n{self.crew.last_words()}"
