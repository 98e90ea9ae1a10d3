"""A steady stream of movements, published while faults strike, and what of them the database must refuse."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, Producer

from mainstem.codec.avro import Encoder
from mainstem.codec.headers import write_headers
from mainstem.event import Event
from mainstem.kafka.producer import DEFAULTS
from mainstem.project.names import event_type
from tests.chaos.oracle import Mark

KEYS = 300
"""Accounts that move at the same time."""
LIFE_EVENTS = 40
"""Movements of an account, on average, before another one takes its place: one that was refused holds up few others."""
REFUSED_SHARE = 1 / 500
TICK_S = 0.02
DURABLE_WITHIN_S = 120


def mark_of(event_id: str) -> Mark:
    """A movement's id says its account and number."""
    key, _, seq = event_id.rpartition(".")
    return Mark(event_id, key, int(seq))


def movement(mark: Mark, amount: int) -> dict[str, Any]:
    """The event's data: a row of the ledger as it is."""
    return {"event_id": mark.event_id, "key": mark.key, "seq": mark.seq, "amount": amount}


class Movements:
    """Publishes `per_s` movements a second from a thread of its own. Use as a context manager; `stop` ends it."""

    def __init__(
        self, config: Mapping[str, Any], topic: str, encoder: Encoder, dice: random.Random, per_s: int
    ) -> None:
        self.published: list[Mark] = []
        self.refused: set[str] = set()
        self.is_paused = False
        """While it is set nothing is published."""
        self._topic = topic
        self._encoder = encoder
        self._dice = dice
        self._per_s = per_s
        self._stopped = threading.Event()
        self._failed: list[KafkaError] = []
        self._counts: Counter[str] = Counter()
        self._keys = [f"account-{number}" for number in range(KEYS)]
        self._made = KEYS
        limits = {"message.timeout.ms": DURABLE_WITHIN_S * 1000, "queue.buffering.max.messages": 1_000_000}
        self._producer = Producer({**DEFAULTS, **config, **limits})
        self._thread = threading.Thread(target=self._run, name="movements", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def stop(self) -> None:
        """Publishes no more; returns when all is durable. Raises RuntimeError where that was not to be had."""
        self._stopped.set()
        self._thread.join()
        left = self._producer.flush(DURABLE_WITHIN_S)
        if left or self._failed:
            raise RuntimeError(f"{left} movements are not durable, {len(self._failed)} failed: {self._failed[:1]}")

    def _run(self) -> None:
        before = monotonic()
        due = 0.0
        while not self._stopped.wait(TICK_S):
            now = monotonic()
            due += 0.0 if self.is_paused else (now - before) * self._per_s
            before = now
            while due >= 1:
                self._publish(self._next())
                due -= 1
            self._producer.poll(0)

    def _next(self) -> Mark:
        place = self._dice.randrange(KEYS)
        key = self._keys[place]
        seq = self._counts[key]
        self._counts[key] += 1
        if self._dice.random() < 1 / LIFE_EVENTS:
            self._keys[place] = f"account-{self._made}"
            self._made += 1
        return mark_of(f"{key}.{seq}")

    def _publish(self, mark: Mark) -> None:
        is_refused = self._dice.random() < REFUSED_SHARE
        if is_refused:
            self.refused.add(mark.event_id)
        now = datetime.now(UTC)
        event = Event(id=mark.event_id, time=now, ingested_at=now, type=event_type(self._topic), source="chaos")
        value = self._encoder.encode(movement(mark, -1 if is_refused else mark.seq))
        self._producer.produce(
            self._topic, value, mark.key, headers=list(write_headers(event)), on_delivery=self._delivered
        )
        self.published.append(mark)

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failed.append(error)
