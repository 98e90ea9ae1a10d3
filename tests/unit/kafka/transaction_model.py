"""Kafka's transaction coordinator, as far as epochs go, on a network that keeps copies of requests back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from confluent_kafka import KafkaError

from mainstem.kafka.transaction_calls import Failed
from mainstem.kafka.transaction_run import LATE_S, Ask, Patience
from mainstem.kafka.transaction_state import Call, Told

TIMEOUT_S = 10.0


class Fate(Enum):
    """What becomes of one request."""

    FINE = auto()
    ANSWER_LOST = auto()
    """It is carried out, and its producer waits in vain."""
    LATE = auto()
    """It is kept back, and its producer waits in vain."""
    SENT_TWICE = auto()
    """It is kept back, and the library sends it again."""
    REFUSED = auto()
    """It is not carried out: fatal for its producer."""
    DENIED = auto()
    """It is not carried out: the transaction has to be aborted."""


@dataclass
class Coordinator:
    """Of one transactional id. What is in `log` is what readers of committed records see."""

    epoch: int = 0
    open: list[int] = field(default_factory=list)
    log: list[int] = field(default_factory=list)
    late: list[Callable[[], object]] = field(default_factory=list)
    """Copies of requests that are still on their way."""

    def claim(self) -> int:
        self.open.clear()
        self.epoch += 1
        return self.epoch

    def write(self, epoch: int, record: int) -> bool:
        if epoch == self.epoch:
            self.open.append(record)
        return epoch == self.epoch

    def end(self, epoch: int, is_commit: bool) -> bool:
        """False when the epoch is an old one. Within an epoch Kafka cannot tell one transaction from the next."""
        if epoch == self.epoch:
            self.log += self.open if is_commit else []
            self.open.clear()
        return epoch == self.epoch


@dataclass
class Network:
    """Between one producer, its epoch and its clock, and the coordinator."""

    coordinator: Coordinator
    epoch: int
    now_s: float = 0.0

    def patience(self) -> Patience:
        return Patience(TIMEOUT_S, clock=lambda: self.now_s)

    def call(self, call: Call, fate: Fate, request: Callable[[], bool]) -> Ask:
        """Makes the request, in the way that is its fate."""

        def ask(within_s: float) -> None:
            if fate is Fate.REFUSED:
                raise _failed(call, Told.FATAL)
            if fate is Fate.DENIED:
                raise _failed(call, Told.ABORTABLE)
            if fate in (Fate.LATE, Fate.SENT_TWICE):
                self.coordinator.late.append(request)
            if fate is Fate.ANSWER_LOST:
                request()
            if fate in (Fate.LATE, Fate.ANSWER_LOST):
                self.now_s += 2 * TIMEOUT_S
                raise _failed(call, Told.TIMED_OUT)
            if fate is Fate.SENT_TWICE:
                self.now_s += LATE_S
            if not request():
                raise _failed(call, Told.FENCED)

        return ask


def _failed(call: Call, told: Told) -> Failed:
    return Failed(call, told, KafkaError(KafkaError._FAIL))
