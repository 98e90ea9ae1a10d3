"""How far behind a worker is, from Kafka's answers to where its partitions end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from faust.types import TP

from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.observing import Observer, Tell
from mainstem.process.librdkafka.pulse import LAG_S, RESTORE_S, Pulse

ORDERS, COUNTS = TP("orders", 3), TP("counts-changelog", 3)


class Told(Observer):
    def __init__(self) -> None:
        self.lags: list[Mapping[TP, int]] = []
        self.left: list[Mapping[TP, int]] = []

    def lagging(self, behind: Mapping[TP, int]) -> None:
        self.lags.append(behind)

    def restoring(self, left: Mapping[TP, int]) -> None:
        self.left.append(left)


class Kafka:
    def __init__(self) -> None:
        self.held = {ORDERS: 120, COUNTS: 50}
        self.is_there = True

    def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        if not self.is_there:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return {tp: self.held[tp] for tp in tps}


class Store:
    def __init__(self) -> None:
        self.offset: int | None = None

    def persisted_offset(self, tp: TP) -> int | None:
        return self.offset


def opened() -> tuple[Pulse, Told, Kafka, Store]:
    told, kafka, store = Told(), Kafka(), Store()
    table = SimpleNamespace(changelog_topic_name=COUNTS.topic, data=store)
    app: Any = SimpleNamespace(
        transport=SimpleNamespace(admin=kafka),
        tables={"counts": table},
        assignor=SimpleNamespace(assigned_actives=lambda: {ORDERS, COUNTS}),
    )
    flights: Flights[TP] = Flights()
    flights.restart(gained={ORDERS: 100})
    return Pulse(app, flights, told, Tell()), told, kafka, store


async def test_the_lag_is_what_is_not_committed() -> None:
    pulse, told, _, _ = opened()
    assert await pulse.beat({ORDERS}, is_restored=True) == LAG_S
    assert told.lags == [{ORDERS: 20}]
    assert pulse.behind == {ORDERS: 20}


async def test_what_is_left_to_restore_goes_down_to_nothing() -> None:
    pulse, told, _, store = opened()
    assert await pulse.beat({ORDERS}, is_restored=False) == RESTORE_S
    store.offset = 29
    await pulse.beat({ORDERS}, is_restored=False)
    assert pulse.restoring == {COUNTS: 20}
    await pulse.beat({ORDERS}, is_restored=True)
    assert told.left == [{COUNTS: 50}, {COUNTS: 20}, {}]
    assert pulse.restoring == {}


async def test_while_kafka_does_not_answer_the_last_lag_stands() -> None:
    pulse, told, kafka, _ = opened()
    await pulse.beat({ORDERS}, is_restored=True)
    kafka.is_there = False
    await pulse.beat({ORDERS}, is_restored=True)
    await pulse.beat({ORDERS}, is_restored=False)
    assert told.lags == [pulse.behind] == [{ORDERS: 20}]
    assert told.left == []


async def test_a_partition_that_left_meanwhile_has_no_lag() -> None:
    pulse, told, kafka, _ = opened()
    other = TP("orders", 4)
    kafka.held[other] = 7
    await pulse.beat({ORDERS, other}, is_restored=True)
    assert told.lags == [{ORDERS: 20}]
