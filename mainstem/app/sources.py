"""An integration's pulled sources, shared among the processes that host it: each is read by one of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

from mainstem.app.keep import keep_running
from mainstem.app.services import Services
from mainstem.errors import TOPIC_MISSING, MainstemError, Misconfigured, Retryable
from mainstem.event import Partition
from mainstem.ingest.pull import PullIngest
from mainstem.ingest.tasks import PARTITIONS, TASKS, Duty
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.consumer import Assigned, Failed, GroupConsumer, Revoked
from mainstem.observe.board import State
from mainstem.observe.logs import logger
from mainstem.project import names
from mainstem.project.model import SourceSpec
from mainstem.sdk.source import Source

FINISH_S = 15.0
"""For the batch at hand, before a source is given up: less than a rebalance waits (kafka.attendance.REVOKE_S)."""
CANCEL_S = 1.0
"""For what is left of it after that. Whoever comes next fences it, be it this process."""

log = logger("mainstem.app")


@dataclass(frozen=True)
class Pulled:
    """One source that is read, whoever reads it."""

    spec: SourceSpec
    source: Source
    first_pass: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has been read to its end, or is another process's: whoever waits for it is not to wait for ever."""

    @property
    def part(self) -> str:
        """Its name on the board, and as a task."""
        return f"{self.spec.integration}.{self.spec.name}"


@dataclass(frozen=True)
class _Run:
    """One source at work, until the group takes it away."""

    stop: asyncio.Event
    work: asyncio.Task[None]


class Sources:
    """Joins the integration's group and reads what the group gives it."""

    def __init__(self, services: Services, integration: str, pulled: Sequence[Pulled]) -> None:
        self._services = services
        self._board = services.board
        self._group = names.sources_group(integration)
        self._pulled = {each.part: each for each in pulled}
        self._duty = Duty(self._pulled)
        self._runs: dict[str, _Run] = {}
        self._is_member = False

    async def run(self, stop: asyncio.Event) -> None:
        """Keeps it up until `stop`, then finishes the batches at hand and leaves the group."""
        first = next(iter(self._pulled))
        await keep_running(first, partial(self._attempt, stop), self._board, stop)
        for part in self._pulled:
            self._board.report(part, State.STOPPED)

    async def _attempt(self, stop: asyncio.Event) -> None:
        try:
            await asyncio.to_thread(self._check_topic)
            async with GroupConsumer(self._services.member_config, self._group, [TASKS]) as consumer:
                await self._share(consumer, stop)
        except MainstemError as error:
            self._failed(error)
            raise

    def _check_topic(self) -> None:
        there = self._services.admin.topics().get(TASKS, 0)
        if there < PARTITIONS:
            raise Misconfigured(f"{TASKS} has {there} of {PARTITIONS} partitions", code=TOPIC_MISSING)

    async def _share(self, consumer: GroupConsumer, stop: asyncio.Event) -> None:
        leaving = asyncio.create_task(_leave_at(stop, consumer))
        try:
            async for happening in consumer.happenings():
                await self._handle(happening)
        finally:
            leaving.cancel()
            self._is_member = False
            await self._end(self._duty.revoked(range(PARTITIONS)))

    async def _handle(self, happening: object) -> None:
        match happening:
            case Assigned(partitions):
                self._take(partitions)
            case Revoked(partitions, lost, left):
                self._is_member = False
                stopped = self._duty.revoked(_numbers(partitions))
                log.info("sources left", group=self._group, sources=sorted(stopped), lost=lost)
                await self._end(stopped)
                left()
            case Failed(error):
                self._failed(error)

    def _take(self, partitions: Iterable[Partition]) -> None:
        self._is_member = True
        started = self._duty.assigned(_numbers(partitions))
        log.info("sources taken", group=self._group, sources=sorted(started))
        for task in started:
            self._start(self._pulled[task])
        for task in self._duty.others:
            self._board.report(task, State.STANDBY)
            self._pulled[task].first_pass.set()

    def _start(self, pulled: Pulled) -> None:
        if self._board.parts()[pulled.part].state is State.STANDBY:  # the first time it is running when it has got on
            self._board.report(pulled.part, State.RUNNING)
        stop = asyncio.Event()
        work = keep_running(pulled.part, partial(self._pull, pulled, stop), self._board, stop)
        self._runs[pulled.part] = _Run(stop, asyncio.create_task(work))

    async def _pull(self, pulled: Pulled, stop: asyncio.Event) -> None:
        """Reads the source until it is to stop, or for a moment is another one's against the group's word."""
        services, spec = self._services, pulled.spec
        encoder = await asyncio.to_thread(services.codec.encoder, spec.topic)
        writer = EventWriter(encoder, services.codec.coercer(spec.topic))
        ingest = PullIngest(spec.integration, spec.name, pulled.source, writer, services.config, self._board)
        ingest.first_pass = pulled.first_pass
        await ingest.run(stop)
        if not stop.is_set():
            pulled.first_pass.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._duty.fenced(pulled.part, monotonic()))

    async def _end(self, tasks: Collection[str]) -> None:
        """Stops these. They are on stand-by from then on: the group says who is next."""
        runs = {task: self._runs.pop(task) for task in tasks}
        for run in runs.values():
            run.stop.set()
        late = await _unfinished((run.work for run in runs.values()), FINISH_S)
        for work in late:
            work.cancel()
        await _unfinished(late, CANCEL_S)
        for task, run in runs.items():
            if run.work in late:
                log.warning("source did not finish its batch in time", part=task, seconds=FINISH_S)
            self._board.report(task, State.STANDBY)

    def _failed(self, error: MainstemError) -> None:
        """On the board for as long as the group has given us nothing to do or to wait for."""
        state = State.WAITING if isinstance(error, Retryable) else State.PAUSED
        news = [] if self._is_member else [task for task in self._pulled if self._board.report(task, state, error)]
        if self._is_member or news:
            log.warning("sources cannot be shared", group=self._group, code=error.code.number, cause=error.cause)


async def _leave_at(stop: asyncio.Event, consumer: GroupConsumer) -> None:
    await stop.wait()
    consumer.leave()


async def _unfinished(works: Iterable[asyncio.Task[None]], within_s: float) -> set[asyncio.Task[None]]:
    awaited = list(works)
    return (await asyncio.wait(awaited, timeout=within_s))[1] if awaited else set()


def _numbers(partitions: Iterable[Partition]) -> list[int]:
    return [partition.number for partition in partitions]
