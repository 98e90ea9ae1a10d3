"""A source at work: batches of events and the position after them, each batch one Kafka transaction."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from mainstem.errors import FUNCTION_FAILED, TOPIC_MISSING, Fenced, MainstemError, Misconfigured, Retryable
from mainstem.failpoint import failpoint
from mainstem.flow.retry import RetryPolicy
from mainstem.ingest.ahead import ahead
from mainstem.ingest.packing import Packed, Packer
from mainstem.ingest.positions import Stored, position_record, read_position
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.topics import Admin
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.observe.board import Board, State
from mainstem.observe.logs import logger
from mainstem.sdk.source import Position, Source

AHEAD_BATCHES = 2
PAUSE_S = 10.0
"""How often a paused source is tried again: whoever mends the cause does not have to restart anything."""
POLICY = RetryPolicy(first_s=0.5, max_s=30.0)

log = logger()


class PullIngest:
    """Runs one source of an integration into its topic, exactly once for read_committed readers.

    `run` ends when `stop` is set or another worker takes the source over. `first_pass` is set when the source has been
    read to its end for the first time.
    """

    def __init__(
        self, integration: str, source_name: str, source: Source, writer: EventWriter, kafka: Mapping[str, Any],
        board: Board,
    ) -> None:  # fmt: skip
        self.name = f"{integration}.{source_name}"
        self.topic = writer.topic
        self.first_pass = asyncio.Event()
        self._source = source
        self._kafka = kafka
        self._board = board
        self._packer = Packer(integration, source_name, writer)
        self._failures = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until `stop` is set; goes on by itself after any failure but the loss of the source to another one."""
        while not stop.is_set():
            try:
                await self._own(stop)
            except Fenced as fenced:
                self._report(State.STANDBY, fenced)
                return
            except Retryable as error:
                self._failures += 1
                self._report(State.WAITING, error)
                await _wait(stop, POLICY.pause(self._failures, wish_s=error.after_s))
            except MainstemError as error:
                self._report(State.PAUSED, error)
                await _wait(stop, PAUSE_S)
            except Exception as error:  # noqa: BLE001 - a source may raise anything: that is a bug, and pauses only it
                self._report_bug(error)
                await _wait(stop, PAUSE_S)

    async def _own(self, stop: asyncio.Event) -> None:
        """Takes the source over, then reads it again and again from where the topic says that it stands."""
        async with TransactionalProducer(self._kafka, f"mainstem.{self.name}") as producer:
            stored = await asyncio.to_thread(read_position, self._kafka, self.name)
            while not stop.is_set():
                topic_id = await asyncio.to_thread(self._topic_id)
                if stored is not None and not stored.holds_for(topic_id):
                    log.warning("the topic was made anew: reading from the beginning", part=self.name, topic=self.topic)
                    stored = None
                stored = await self._pass(producer, stored, topic_id, stop)
                if not stop.is_set():
                    self._progress()
                    self.first_pass.set()
                    await _wait(stop, self._source.poll_every_s)

    async def _pass(
        self, producer: TransactionalProducer, stored: Stored | None, topic_id: str, stop: asyncio.Event
    ) -> Stored | None:
        """Reads the source to its end for now, and gives the position there."""
        after = None if stored is None else stored.position
        async with aclosing(ahead(self._packed(after), AHEAD_BATCHES, stop)) as batches:
            async for packed in batches:
                stored = Stored(packed.position, topic_id)
                failpoint("source.before_commit")
                await producer.commit([*packed.records, position_record(self.name, stored)])
                failpoint("source.after_commit")
                self._packer.count(packed)
                await self._source.acknowledge(packed.position)
                failpoint("source.acknowledged")
                self._progress()
        return stored

    async def _packed(self, after: Position | None) -> AsyncIterator[Packed]:
        async for batch in self._source.read(after):
            failpoint("source.read")
            yield await self._packer.pack(batch)

    def _topic_id(self) -> str:
        found = Admin(self._kafka).topic_ids([self.topic])
        if self.topic not in found:
            raise Misconfigured(f"there is no topic {self.topic}", code=TOPIC_MISSING)
        return found[self.topic]

    def _progress(self) -> None:
        self._failures = 0
        self._board.progress(self.name)

    def _report(self, state: State, error: MainstemError) -> None:
        if self._board.report(self.name, state, error):
            log.warning(
                "source", part=self.name, state=state, code=error.code.number, reason=error.cause, fix=error.fix
            )

    def _report_bug(self, error: Exception) -> None:
        said = Misconfigured(f"the source failed with {type(error).__name__}", code=FUNCTION_FAILED)
        if self._board.report(self.name, State.PAUSED, said):
            # Without the exception's own words: they may quote what was read.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error(
                "source", part=self.name, state=State.PAUSED, code=said.code.number, reason=said.cause, traceback=where
            )


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
