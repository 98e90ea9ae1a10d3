"""Looks into the target again and again, past all proxies: how far the work is, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from time import monotonic

import psycopg

from tests.chaos.database import Database
from tests.chaos.epochs import Holder, Place, read_holders
from tests.chaos.journal import Journal
from tests.chaos.recovery import Recovery

TOLD_EVERY_S = 5.0
OFFSETS = "SELECT sink, partition, next_offset FROM mainstem_offsets WHERE topic = %s AND next_offset IS NOT NULL"


class Observer:
    """One database and one topic. Every look is short; while the server is down it sees nothing."""

    def __init__(self, database: Database, name: str, topic: str, journal: Journal) -> None:
        self.recovery = Recovery()
        self.holders: Mapping[Place, Holder] = {}
        self.positions: Mapping[tuple[str, int], int] = {}
        self._database = database
        self._name = name
        self._topic = topic
        self._journal = journal
        self._told_at = 0.0
        self._connection: psycopg.Connection | None = None

    def strike(self, fault: str) -> None:
        """A fault has struck just now."""
        self.recovery.strike(fault, monotonic())

    def look(self) -> bool:
        """False while the server does not answer."""
        try:
            self._look(self._live())
        except psycopg.OperationalError:
            self.close()
            return False
        return True

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _live(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = self._database.connect(self._name)
        return self._connection

    def _look(self, connection: psycopg.Connection) -> None:
        found = connection.execute(OFFSETS, [self._topic]).fetchall()
        self.positions = {(sink, partition): offset for sink, partition, offset in found}
        self.recovery.see(self.positions, monotonic())
        if monotonic() - self._told_at > TOLD_EVERY_S:
            self._told_at = monotonic()
            self._journal.note(f"positions {sorted(self.positions.items())}")
        self.holders = {
            place: holder for place, holder in read_holders(connection).items() if place.topic == self._topic
        }
