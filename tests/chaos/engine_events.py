"""A steady stream of numbered events for the engine's workers, published while faults strike."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, Producer

from mainstem.kafka.producer import DEFAULTS
from tests.chaos.oracle import Mark

KEYS = 200
TICK_S = 0.02
DURABLE_WITHIN_S = 120


class EventStream:
    """Publishes `per_s` events a second from a thread of its own. Use as a context manager; `stop` ends it.

    An event is `{"id": n, "key": k, "seq": its place among those of the key}`; a share of them is poison.
    """

    def __init__(
        self, config: Mapping[str, Any], topic: str, dice: random.Random, *, per_s: int, poison_share: float
    ) -> None:
        self.published: list[Mark] = []
        self.poison: set[str] = set()
        self.is_paused = False
        """While it is set nothing is published."""
        self._topic = topic
        self._dice = dice
        self._per_s = per_s
        self._poison_share = poison_share
        self._stopped = threading.Event()
        self._failed: list[KafkaError] = []
        self._counts: Counter[str] = Counter()
        # Keys go where Kafka's Java clients put them, and so where the engine's tables are.
        limits = {"message.timeout.ms": DURABLE_WITHIN_S * 1000, "partitioner": "murmur2_random"}
        self._producer = Producer({**DEFAULTS, **config, **limits})
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

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
            raise RuntimeError(f"{left} events are not durable, {len(self._failed)} failed: {self._failed[:1]}")

    def _run(self) -> None:
        before = monotonic()
        due = 0.0
        while not self._stopped.wait(TICK_S):
            now = monotonic()
            due += 0.0 if self.is_paused else (now - before) * self._per_s
            before = now
            while due >= 1:
                self._publish()
                due -= 1
            self._producer.poll(0)

    def _publish(self) -> None:
        key = f"k{self._dice.randrange(KEYS)}"
        number, seq = len(self.published), self._counts[key]
        self._counts[key] += 1
        event: dict[str, Any] = {"id": number, "key": key, "seq": seq}
        if self._dice.random() < self._poison_share:
            event["poison"] = True
            self.poison.add(str(number))
        self._producer.produce(self._topic, json.dumps(event), key, on_delivery=self._delivered)
        self.published.append(Mark(str(number), key, seq))

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failed.append(error)
