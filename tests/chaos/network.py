"""Between sinks and Kafka: the broker killed and started again, the network cut, slow, half-open, late, truncated.

Nobody kills the workers: whatever Kafka does, they have to go on by themselves.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.chaos import nemesis
from tests.chaos.broker import Broker
from tests.chaos.nemesis import Act, Deck, Fault
from tests.chaos.scenario import Ground, Tally
from tests.chaos.sql_field import SqlField
from tests.tcp_proxy import KafkaProxy

WORKERS = 2
PAUSE_S = (2.0, 5.0)
DOWN_S = (0.0, 2.0)
LASTS_S = (1.0, 6.0)
"""Up to three times the session."""
DELAY_S = 0.2


class Network:
    """See the module."""

    name = "network"

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        with SqlField(ground, dice, workers=WORKERS, through_kafka_proxies=True) as field:
            broker = Broker(ground, field.journal)
            deck = Deck(_kinds(field, broker, dice), dice)
            while field.faults.total() < faults:
                field.spend(dice.uniform(*PAUSE_S))
                deck.strike(field.strike)
            field.settle()
            tally = field.tally(self.name)
            if not tally.wrong:
                field.remove()
            return tally


def _kinds(field: SqlField, broker: Broker, dice: random.Random) -> list[tuple[int, Callable[[], Fault | None]]]:
    def at_one(make: Callable[[KafkaProxy], Fault]) -> Callable[[], Fault | None]:
        def made() -> Fault | None:
            worker = field.crew.one(field.observer.holders)
            return None if worker is None or worker.wires.kafka is None else make(worker.wires.kafka)

        return made

    def lasts_s() -> float:
        return dice.uniform(*LASTS_S)

    return [
        (2, lambda: Act("broker killed", lambda: broker.kill(dice.uniform(*DOWN_S)), broker.is_up)),
        (2, at_one(nemesis.cut)),
        (1, at_one(lambda proxy: nemesis.truncate(proxy, dice.randrange(1, 20)))),
        (2, at_one(lambda proxy: nemesis.slow(proxy, field.agenda, DELAY_S, lasts_s()))),
        (1, at_one(lambda proxy: nemesis.down(proxy, field.agenda, lasts_s()))),
        (2, at_one(lambda proxy: nemesis.half_open(proxy, field.agenda, lasts_s()))),
        (1, at_one(lambda proxy: nemesis.hold_back(proxy, field.agenda, lasts_s()))),
    ]


SCENARIO = Network()
