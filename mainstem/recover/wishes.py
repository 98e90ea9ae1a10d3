"""What people want of a job that runs in another process: records of the compacted topic `_mainstem.jobs`.

A wish is for whoever runs the job at that moment. A run that begins later does not know it: what became of the job is
in the job's own record, and a paused job that is resumed must not be paused by what was wished before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

import orjson

from mainstem.codec import headers as h
from mainstem.errors import MainstemError
from mainstem.event import Partition
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import Reader, reading
from mainstem.kafka.record import Record
from mainstem.project import names

TOPIC: Final = names.internal("jobs")
LOOK_EVERY_S: Final = 0.25


class Wish(StrEnum):
    """What a running job is to do after the transaction at hand."""

    PAUSE = "pause"
    """Stop, so that it can be resumed."""
    CANCEL = "cancel"
    """Stop for good."""


async def express(config: Mapping[str, Any], job_id: str, wish: Wish, who: str) -> None:
    """Writes the wish down; `who` is the person's name. Raises Unreachable, Misconfigured (MS-206)."""
    async with DurableProducer(config) as producer:
        await producer.send([wish_record(job_id, wish, who)])


def wish_record(job_id: str, wish: Wish, who: str) -> Record:
    """The record that says it."""
    at = h.format_time(datetime.now(UTC)).decode()
    return Record(TOPIC, job_id.encode(), orjson.dumps({"wish": wish, "who": who, "at": at}))


def read_wish(value: bytes | None) -> Wish | None:
    """What a record of the topic says; None for one that says nothing that this version knows."""
    with suppress(ValueError, KeyError, TypeError):
        return None if value is None else Wish(orjson.loads(value)["wish"])
    return None


class Wishes:
    """What has been wished since it was entered, looked up every LOOK_EVERY_S. Use as an async context manager.

    Entering raises Misconfigured (MS-206) when there is no such topic, and Unreachable; later failures to look are
    passed over: the job's own transactions will tell.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._known: dict[str, Wish] = {}
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reading = reading(self._config)
        reader = await asyncio.to_thread(self._reading.__enter__)
        try:
            whole = await asyncio.to_thread(reader.whole, [TOPIC])
        except BaseException:
            await asyncio.to_thread(self._reading.__exit__, None, None, None)
            raise
        at = {partition: end for partition, (_, end) in whole.items()}
        self._watching = asyncio.create_task(self._watch(reader, at))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching
        await asyncio.to_thread(self._reading.__exit__, None, None, None)

    def latest(self, job_id: str) -> Wish | None:
        """The last thing wished for the job; None when there is nothing."""
        return self._known.get(job_id)

    async def within(self, job_id: str, seconds: float) -> Wish | None:
        """Waits that long, or until something is wished for the job."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.latest(job_id) is None:
                    self._news.clear()
                    await self._news.wait()
        return self.latest(job_id)

    def note(self, job_id: str, wish: Wish) -> None:
        """The same wish from within this process: a person at its terminal."""
        self._known[job_id] = wish
        self._news.set()

    async def _watch(self, reader: Reader, at: dict[Partition, int]) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            # Shielded: the thread goes on with the client when the task is cancelled, and must not meet its end.
            looking = asyncio.ensure_future(asyncio.to_thread(_look, reader, at))
            try:
                found = await asyncio.shield(looking)
            except MainstemError:
                continue
            except asyncio.CancelledError:
                await asyncio.wait([looking])
                raise
            if found:
                self._known |= found
                self._news.set()


def _look(reader: Reader, at: dict[Partition, int]) -> dict[str, Wish]:
    """What has been wished behind `at`, which moves along."""
    found: dict[str, Wish] = {}
    ends = {partition: reader.bounds(partition)[1] for partition in at}
    if ends == at:
        return {}
    for messages in reader.read({partition: (start, ends[partition]) for partition, start in at.items()}):
        for message in messages:
            wish = read_wish(message.value())
            if wish is not None:
                found[(message.key() or b"").decode()] = wish
    at.update(ends)
    return found
