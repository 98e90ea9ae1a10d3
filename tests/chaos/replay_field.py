"""Where replays are put under faults: a ledger whose live worker is never harmed, and a proxy for replays alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import ExitStack
from time import monotonic, sleep
from types import TracebackType
from typing import Self

import psycopg

from mainstem.devstack.ports import HOST
from mainstem.event import Partition
from mainstem.kafka.topics import GroupState
from mainstem.project import names
from mainstem.recover.replay import JOBS, Extent, Request, plan, planned
from tests.backbone_process import BackboneProcess, until
from tests.chaos.database import Database
from tests.chaos.ledger import APPENDED, SECRET, SINKS, open_ledger
from tests.chaos.movements import Movements
from tests.chaos.postgres_proxy import PostgresProxy
from tests.chaos.recovery import Recovery
from tests.chaos.replay_lives import Replay
from tests.chaos.scenario import Ground

LIVE = "live"
PER_S = 300
LAST = 300
"""Offsets of each partition that a replay covers."""
RATE = 300.0
"""Records a second: several batches in each life, and several lives in each replay."""
LOOK_S = 0.1
STARTS_WITHIN_S = 120.0
SETTLES_WITHIN_S = 120.0
VIA = f"ALTER TABLE {APPENDED} ADD COLUMN via text DEFAULT coalesce(current_setting('chaos.writer', true), '')"
"""Who wrote a row: the live worker, or which life of which replay."""
POSITIONS = "SELECT sink, partition, next_offset FROM mainstem_offsets WHERE sink = ANY(%s) AND next_offset IS NOT NULL"
UNSHIPPED = "SELECT count(*) FROM mainstem_letters"


class ReplayField:
    """Use as a context manager. `tend` again and again; `settle` at the end, then judge."""

    def __init__(self, ground: Ground, dice: random.Random) -> None:
        self.recovery = Recovery()
        """Of the live worker: how long it stood still after a fault that was not meant for it."""
        self.replays: list[Replay] = []
        self._ground = ground
        self._dice = dice

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            ground = self._ground
            self.database = stack.enter_context(Database(ground.home / "target", ground.free_port()))
            self.ledger = open_ledger(ground.folder / f"ledger-{ground.tag}", ground.tag, ground.stack, self.database)
            self.connection = stack.enter_context(self.database.connect(self.ledger.database))
            self.connection.execute(VIA.encode())
            self.proxy = stack.enter_context(PostgresProxy(HOST, self.database.port))
            self.services = stack.enter_context(self.ledger.services())
            self.live = stack.enter_context(self._live_worker())
            self.live.start("--only", "sinks")
            encoder = self.services.codec.encoder(self.ledger.topic)
            self.movements = Movements(self.services.config, self.ledger.topic, encoder, self._dice, PER_S)
            stack.enter_context(self.movements)
            until(self._has_begun, within_s=STARTS_WITHIN_S, what=self.live.log)
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._exits.__exit__(kind, error, where)

    @property
    def live_sinks(self) -> list[str]:
        """As the control rows call them."""
        return [f"{self.ledger.integration}.{sink}" for sink in SINKS]

    def begin(self) -> Replay:
        """Plans a replay of the last movements into the append-only table, where any second copy shows."""
        ends = self.services.admin.ends(self._partitions())
        extent = Extent(first={p: max(0, end - LAST) for p, end in ends.items()}, last=ends)
        part, dlq = f"{self.ledger.integration}.{APPENDED}", self.ledger.dlq(APPENDED)
        request = Request(part, dlq, [self.ledger.topic], extent, "appended", records_s=RATE)
        job = planned(plan(self.services.config, request))
        asyncio.run(JOBS.keep(self.services.config, job))
        replay = Replay(f"r{len(self.replays)}", job, self.ledger.folder, self._env_of_replay)
        self.replays.append(self._exits.enter_context(replay))
        return replay

    def tend(self) -> None:
        """Looks how far the live worker is."""
        self.recovery.see(self.positions(), monotonic())

    def spend(self, seconds: float) -> None:
        """Lets time pass."""
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            self.tend()
            sleep(LOOK_S)

    def rows_of(self, writer: str) -> int:
        """How many rows have been written under that name."""
        self.tend()
        found = self.connection.execute(f"SELECT count(*) FROM {APPENDED} WHERE via = %s".encode(), [writer]).fetchone()
        return int(found[0]) if found else 0

    def positions(self) -> Mapping[tuple[str, int], int]:
        """The live worker's next offsets."""
        found = self.connection.execute(POSITIONS, [self.live_sinks]).fetchall()
        return {(sink, number): offset for sink, number, offset in found}

    def groups(self) -> list[GroupState]:
        """The live consumer groups."""
        return [self.services.admin.group(names.sink_group(self.ledger.integration, sink)) for sink in SINKS]

    def settle(self) -> None:
        """Ends the stream, and waits until the live worker has delivered it and said so."""
        until(self._has_recovered, within_s=SETTLES_WITHIN_S, what=self.positions)
        self.movements.stop()
        ends = self.services.admin.ends(self._partitions())
        wanted = {(sink, p.number): end for sink in self.live_sinks for p, end in ends.items() if end}
        until(lambda: self._has_settled(wanted), within_s=SETTLES_WITHIN_S, what=self.positions)

    def remove(self) -> None:
        """Deletes what only this run needed. Left alone after a defect: it is the evidence."""
        self.live.kill()
        self.connection.close()
        self.ledger.remove(self.database)

    def _has_settled(self, wanted: Mapping[tuple[str, int], int]) -> bool:
        shipped = self.connection.execute(UNSHIPPED).fetchone() == (0,)
        return shipped and self.positions() == wanted and not sum(group.lag for group in self.groups())

    def _has_recovered(self) -> bool:
        self.tend()
        return self.recovery.is_over

    def _has_begun(self) -> bool:
        """Whether there is enough for a replay, everywhere."""
        positions = self.positions()
        return len(positions) == len(self._partitions()) * len(SINKS) and min(positions.values()) >= LAST / 5

    def _partitions(self) -> list[Partition]:
        count = self.services.admin.topics()[self.ledger.topic]
        return [Partition(self.ledger.topic, number) for number in range(count)]

    def _live_worker(self) -> BackboneProcess:
        env = {SECRET: self.database.dsn(self.ledger.database, writer=LIVE)}
        return BackboneProcess(self.ledger.folder, self._ground.free_port(), env=env)

    def _env_of_replay(self, writer: str) -> dict[str, str]:
        return {SECRET: self.database.dsn(self.ledger.database, port=self.proxy.port, writer=writer)}


def count(connection: psycopg.Connection, query: str) -> int:
    """What a query counts."""
    found = connection.execute(query.encode()).fetchone()
    return int(found[0]) if found else 0
