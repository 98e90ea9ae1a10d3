"""Which channel reads which topic: Faust's own, with less patience, and with patterns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, cast

from confluent_kafka import KafkaException
from faust import Service
from faust.transport.conductor import Conductor as BaseConductor

from mainstem.process.librdkafka.account import letters_of
from mainstem.process.librdkafka.patterns import behind

RESUBSCRIBE_S = 5.0
"""Longer than the 3 s after which Faust puts up who reads the replies: it finds its place in the same change."""

log = logging.getLogger(__name__)


class Conductor(BaseConductor):
    """Faust waits 45 s before it subscribes to a topic that comes late, so that several such share one rebalance. The
    first `ask` of a process makes one for the replies, and would wait that long."""

    _resubscribe_sleep_lock_seconds = RESUBSCRIBE_S

    async def _update_indices(self) -> Iterable[str]:
        for channel, names in (await self._behind_patterns()).items():
            channel.topics = names
        return await super()._update_indices()

    async def _behind_patterns(self) -> dict[Any, list[str]]:
        """Each channel that has a pattern, and the topics that there are behind it now."""
        app = cast(Any, self.app)
        channels = [channel for channel in self._topics if channel.pattern]
        if not channels:
            return {}
        names = await asyncio.get_running_loop().run_in_executor(None, app.transport.admin.names)
        names.discard(letters_of(app))
        return {channel: behind(cast(Any, channel.pattern), names, app.conf.id) for channel in channels}

    @Service.task
    async def _look_behind_patterns(self) -> None:
        """Topics that were made, or deleted, since."""
        while not self.should_stop:
            await self.sleep(cast(Any, self.app).engine.topics_s)
            try:
                found = await self._behind_patterns()
            except KafkaException as error:
                log.warning("which topics there are is not known: %s", error)
                continue
            if self._subscription_changed and any(names != channel.topics for channel, names in found.items()):
                self._subscription_changed.set()
