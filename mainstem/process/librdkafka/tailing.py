"""Reads changelogs on as they grow, into parts that no event of this worker changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import TopicPartition
from faust.types import TP

from mainstem.process.librdkafka.restoring import Part, Readers, received, starts


class Tail:
    """Reads in a thread; the parts change in the loop, between two steps of whatever else it does.

    `failed` is called where it cannot go on.
    """

    def __init__(self, readers: Readers, failed: Callable[[str], Any]) -> None:
        self._readers = readers
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def follow(self, plan: Mapping[TP, Part]) -> None:
        """From now on these and no others, each from where it is."""
        await self.stop()
        if plan:
            begins, _ = await asyncio.get_running_loop().run_in_executor(None, starts, self._readers, plan)
            self._is_stopping = False
            self._task = asyncio.create_task(self._run(plan, begins))

    async def stop(self) -> None:
        """Nothing is taken in any more when it returns."""
        task, self._task = self._task, None
        self._is_stopping = True
        if task is not None:
            await task

    async def _run(self, plan: Mapping[TP, Part], begins: Mapping[TP, int]) -> None:
        loop = asyncio.get_running_loop()
        client = self._readers.consumer("read_committed")
        try:
            client.assign([TopicPartition(*tp, offset) for tp, offset in begins.items()])
            while not self._is_stopping:
                batches, _ = await loop.run_in_executor(None, received, client)
                for tp, batch in batches.items():
                    plan[tp].load([(message.key(), message.value()) for message in batch], batch[-1].offset())
        except Exception as error:  # noqa: BLE001 - the task's boundary: without it tables would silently grow old
            self._failed(f"changelogs could not be read on: {error!r}")
        finally:
            await loop.run_in_executor(None, client.close)
