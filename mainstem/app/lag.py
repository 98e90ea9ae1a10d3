"""How far each consumer group is behind, sampled for the metrics and the live view."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mainstem.errors import MainstemError
from mainstem.kafka.topics import Admin
from mainstem.observe import metrics
from mainstem.observe.logs import logger

EVERY_S = 2.0
log = logger("mainstem.app")


class LagSampler:
    """The lag of some groups, at most EVERY_S old; empty as long as Kafka does not answer."""

    def __init__(self, admin: Admin, groups: Sequence[str]) -> None:
        self._admin = admin
        self._groups = groups
        self.lag: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Samples until `stop`."""
        while not stop.is_set():
            try:
                self.lag = await asyncio.to_thread(self._sample)
            except MainstemError as error:
                self.lag = {}
                log.debug("no lag", cause=error.cause)
            try:
                await asyncio.wait_for(stop.wait(), EVERY_S)
            except TimeoutError:
                continue

    def _sample(self) -> dict[str, int]:
        found = {}
        for name in self._groups:
            group = self._admin.group(name)
            found[name] = group.lag
            for partition, (at, end) in group.positions.items():
                metrics.lag.labels(name, partition.topic, str(partition.number)).set(end - (at or 0))
        return found
