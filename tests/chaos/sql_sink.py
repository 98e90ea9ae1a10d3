"""The SQL sink under everything: workers killed, stopped and woken, the database killed, COMMITs lost, the network cut.

Workers of one group append movements to a table that would take any second copy, and upsert them into another. A share
is refused by the database, so that keys are parked and letters are shipped meanwhile. Every row and letter is judged.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from tests.chaos import nemesis
from tests.chaos.crew import Worker
from tests.chaos.nemesis import Act, Deck, Fault
from tests.chaos.postgres_proxy import Fate
from tests.chaos.scenario import Ground, Tally
from tests.chaos.sql_field import SqlField

WORKERS = 3
ARMED = 0.5
PAUSE_S = (0.5, 2.5)
"""From one fault to the next: not long enough to recover from each."""
DATABASE_DOWN_S = (0.0, 2.0)
LATE_S = (0.5, 6.0)
"""Up to three times the session."""


class SqlSink:
    """See the module."""

    name = "sql-sink"

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        with SqlField(ground, dice, workers=WORKERS, armed=ARMED) as field:
            deck = Deck(_kinds(field, dice), dice)
            while field.faults.total() < faults:
                field.spend(dice.uniform(*PAUSE_S))
                deck.strike(field.strike)
            field.settle()
            tally = field.tally(self.name)
            if not tally.wrong:
                field.remove()
            return tally


def _kinds(field: SqlField, dice: random.Random) -> list[tuple[int, Callable[[], Fault | None]]]:
    def at_one(make: Callable[[Worker], Fault]) -> Callable[[], Fault | None]:
        def made() -> Fault | None:
            worker = field.crew.one(field.observer.holders)
            return None if worker is None else make(worker)

        return made

    def doomed(fate: Fate) -> Callable[[], Fault | None]:
        return at_one(lambda worker: nemesis.lose_commit(worker.wires.database, fate, dice.uniform(*LATE_S)))

    return [
        (5, partial(Act, "worker killed", lambda: field.crew.kill(field.observer.holders))),
        (4, partial(Act, "worker stopped", lambda: field.crew.put_to_sleep(field.observer.holders))),
        (1, partial(Act, "backend killed", lambda: field.database.kill_backend(field.ledger.database, dice))),
        (1, partial(Act, "database killed", lambda: _kill_database(field, dice))),
        (2, doomed(Fate.ANSWER_LOST)),
        (1, doomed(Fate.REQUEST_LOST)),
        (2, doomed(Fate.ANSWER_LATE)),
        (2, at_one(lambda worker: nemesis.cut(worker.wires.database))),
        (1, at_one(lambda worker: nemesis.slow(worker.wires.database, field.agenda, 0.1, for_s=2.0))),
        (1, at_one(lambda worker: nemesis.down(worker.wires.database, field.agenda, for_s=2.0))),
        (2, at_one(lambda worker: nemesis.half_open(worker.wires.database, field.agenda, dice.uniform(*LATE_S)))),
        (1, at_one(lambda worker: nemesis.hold_back(worker.wires.database, field.agenda, dice.uniform(*LATE_S)))),
        (1, at_one(lambda worker: nemesis.truncate(worker.wires.database, dice.randrange(1, 20)))),
    ]


def _kill_database(field: SqlField, dice: random.Random) -> bool:
    """kill -9 of the server, which is started again a moment later; not while it is down from the last time."""
    if not field.database.answers():
        return False
    field.database.kill()
    field.agenda.after(dice.uniform(*DATABASE_DOWN_S), field.database.start)
    return True


SCENARIO = SqlSink()
