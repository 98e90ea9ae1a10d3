"""Movements of accounts that a rule of the database refuses for a while, among live ones of the same accounts."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, Producer

from mainstem.codec.avro import Encoder
from mainstem.codec.headers import write_headers
from mainstem.event import Event
from mainstem.kafka.producer import DEFAULTS
from mainstem.project.names import event_type
from tests.chaos.movements import movement
from tests.chaos.oracle import Mark

DURABLE_WITHIN_S = 120
LIVE_EVERY_S = 0.1


class Traffic:
    """Publishes a live movement of any account every LIVE_EVERY_S, and whole waves when asked to. A context manager."""

    def __init__(self, config: Mapping[str, Any], topic: str, encoder: Encoder, dice: random.Random) -> None:
        self.published: list[Mark] = []
        self._topic = topic
        self._encoder = encoder
        self._dice = dice
        self._accounts = ["none"]
        self._counts: Counter[str] = Counter()
        self._turn = threading.Lock()
        self._stopped = threading.Event()
        self._failed: list[KafkaError] = []
        self._producer = Producer({**DEFAULTS, **config, "message.timeout.ms": DURABLE_WITHIN_S * 1000})
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def wave(self, accounts: Sequence[str], each: int) -> None:
        """So many movements of each account, the first of them refused as long as the rule holds; live ones are of
        these accounts from now on. Returns when they are durable."""
        with self._turn:
            self._accounts = list(accounts)
            for n in range(each):
                for account in accounts:
                    self._publish(account, -1 if n == 0 else 1)
        self._flush()

    def turn_away(self) -> None:
        """Live movements are of other accounts from now on, for which nothing waits."""
        with self._turn:
            self._accounts = [f"calm-{account}" for account in self._accounts]

    def stop(self) -> None:
        """Publishes no more; returns when all is durable."""
        self._stopped.set()
        self._thread.join()
        self._flush()

    def _run(self) -> None:
        while not self._stopped.wait(LIVE_EVERY_S):
            with self._turn:
                self._publish(self._dice.choice(self._accounts), 1)
            self._producer.poll(0)

    def _publish(self, account: str, amount: int) -> None:
        mark = Mark(f"{account}.{self._counts[account]}", account, self._counts[account])
        self._counts[account] += 1
        now = datetime.now(UTC)
        event = Event(id=mark.event_id, time=now, ingested_at=now, type=event_type(self._topic), source="chaos")
        value = self._encoder.encode(movement(mark, amount))
        headers: list[tuple[str, str | bytes | None]] = [*write_headers(event)]
        self._producer.produce(self._topic, value, account, headers=headers, on_delivery=self._delivered)
        self.published.append(mark)

    def _flush(self) -> None:
        left = self._producer.flush(DURABLE_WITHIN_S)
        if left or self._failed:
            raise RuntimeError(f"{left} movements are not durable, {len(self._failed)} failed: {self._failed[:1]}")

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failed.append(error)
