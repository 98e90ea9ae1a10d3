"""How far each consumer group is behind, sampled for the metrics and the live view."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from mainstem.errors import MainstemError
from mainstem.kafka.lag import GroupLag
from mainstem.observe import metrics
from mainstem.observe.logs import logger

EVERY_S = 2.0
log = logger("mainstem.app")


class LagSampler:
    """The lag of some groups, each on its topics, at most EVERY_S old; empty as long as Kafka does not answer."""

    def __init__(self, config: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> None:
        self._config = config
        self._groups = groups
        self.lag: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Samples until `stop`."""
        with ExitStack() as stack:
            groups = {
                name: stack.enter_context(GroupLag(self._config, name, topics)) for name, topics in self._groups.items()
            }
            while not stop.is_set():
                try:
                    self.lag = await asyncio.to_thread(_sample, groups)
                except MainstemError as error:
                    self.lag = {}
                    log.debug("no lag", cause=error.cause)
                try:
                    await asyncio.wait_for(stop.wait(), EVERY_S)
                except TimeoutError:
                    continue


def _sample(groups: Mapping[str, GroupLag]) -> dict[str, int]:
    found = {}
    for name, group in groups.items():
        lag = group.read()
        found[name] = sum(lag.values())
        for partition, records in lag.items():
            metrics.lag.labels(name, partition.topic, str(partition.number)).set(records)
    return found
