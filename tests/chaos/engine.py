"""The engine for Faust apps under everything: workers killed and stopped, also in the middle of a commit, replaced
while they sleep, coming and going; the broker killed and stopped.

Three workers count the events of each key, exactly once. What they are is drawn for each round: a step, an agent or
whole batches, tables in memory or on disk, either protocol of consumer groups. Every output, dead letter and count is
judged.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from itertools import count

from tests.chaos.engine_field import TRANSACTION_S, WORKERS, EngineField, Plan
from tests.chaos.nemesis import Act, Deck, Fault
from tests.chaos.scenario import Ground, Tally

PAUSE_S = (1.0, 4.0)
"""From one fault to the next: not long enough to recover from each."""
STOPPED_S = (0.1, 20.0)
ASLEEP_S = (TRANSACTION_S + 1.5, TRANSACTION_S + 8.0)
"""In a commit: Kafka has aborted the transaction meanwhile."""
BROKER_DOWN_S = (0.0, 2.0)
BROKER_STOPPED_S = (0.3, 6.0)
"""Shorter than its own session of 9 s: one node that takes itself for dead is Kafka's own matter (KAFKA-20734)."""
STORM_S = (6.0, 12.0)
PLACES = ("before flush", "after flush", "before offsets", "after offsets", "before commit", "after commit")


class Engine:
    """See the module."""

    name = "engine"

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        with EngineField(ground, Plan.drawn(dice), dice) as field:
            deck = Deck(_kinds(field, dice), dice)
            while field.faults.total() < faults:
                field.spend(dice.uniform(*PAUSE_S))
                deck.strike(field.strike)
            field.settle()
            tally = field.tally(self.name)
            if not tally.wrong:
                field.remove()
            return tally


def _kinds(field: EngineField, dice: random.Random) -> list[tuple[int, Callable[[], Fault | None]]]:
    crew = field.crew

    def falls(action: str) -> Fault:
        place = dice.choice(PLACES)
        name = f"worker {action} {place.partition(' ')[0]} {place.partition(' ')[2]}"
        return Act(name, lambda: crew.fall(action, place, dice.uniform(*ASLEEP_S)))

    def stopped() -> Fault:
        for_s = math.exp(dice.uniform(*map(math.log, STOPPED_S)))  # as many short as long ones
        return Act("worker stopped", lambda: crew.stop(for_s))

    storms = count(1)
    return [
        (4, lambda: Act("worker killed", crew.kill)),
        (4, partial(falls, "kill")),
        (4, partial(falls, "stop")),
        (3, stopped),
        (1, lambda: Act("worker replaced", lambda: crew.replace(dice.uniform(*ASLEEP_S)))),
        (2, lambda: _storm(field, next(storms), dice)),
        (1, lambda: Act("broker killed", lambda: field.broker.kill(dice.uniform(*BROKER_DOWN_S)), field.broker.is_up)),
        (
            1,
            lambda: Act(
                "broker stopped", lambda: field.broker.stop(dice.uniform(*BROKER_STOPPED_S)), field.broker.is_up
            ),
        ),
    ]


def _storm(field: EngineField, number: int, dice: random.Random) -> Fault:
    """Two more workers come and go, and two of the others leave and come again, each at any moment of it."""
    guests = [f"x{number}a", f"x{number}b"]
    lasts_s = dice.uniform(*STORM_S)

    left: set[str] = set()

    def leave(guest: str) -> None:
        field.crew.leave(guest)
        left.add(guest)

    def begin() -> bool:
        for guest in guests:
            field.agenda.after(dice.uniform(0, lasts_s / 2), partial(field.crew.join, guest))
            field.agenda.after(lasts_s + dice.uniform(0, lasts_s / 2), partial(leave, guest))
        for worker in dice.sample(WORKERS, 2):
            field.agenda.after(dice.uniform(0, lasts_s), partial(field.crew.leave, worker))
        return True

    def is_over() -> bool:
        return left == set(guests) and not any(map(field.crew.has, guests))

    return Act("rebalance storm", begin, is_over)


SCENARIO = Engine()
