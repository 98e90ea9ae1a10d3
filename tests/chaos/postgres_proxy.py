"""A proxy in front of PostgreSQL that knows where a COMMIT is, and loses it or its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from tests.tcp_proxy import TcpProxy

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message of the simple query protocol: its kind, its length without that, the statement. Clients send it alone."""


class Fate(StrEnum):
    """What happens to a COMMIT."""

    REQUEST_LOST = "commit lost"
    """It never arrives, and the connection is cut: nothing is committed."""
    ANSWER_LOST = "commit's answer lost"
    """It is committed, and the connection is cut before the client hears of it."""
    ANSWER_LATE = "commit's answer late"
    """It is committed, and the client hears of it after a while."""


@dataclass
class _Wire:
    """One connection: what its two ways know of each other."""

    fate: Fate | None = None


_wire: ContextVar[_Wire] = ContextVar("wire")


class PostgresProxy(TcpProxy):
    """See TcpProxy; one more kind of fault: `doom`."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._next: Fate | None = None
        self._late_s = 0.0
        self.doomed = 0
        """How many COMMITs have met their fate."""

    def doom(self, fate: Fate | None, late_s: float = 0.0) -> None:
        """The next COMMIT of any connection meets this fate, `late_s` counts for a late answer. None: takes it back."""
        self._late_s = late_s
        self._next = fate

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _wire.set(_Wire())
        await super()._connect(reader, writer)

    async def _pass_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await super()._pass_up(_Tapped(reader, self._going_up), writer)

    async def _pass_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await super()._pass_down(_Tapped(reader, self._coming_down), writer)

    async def _going_up(self, data: bytes) -> bytes:
        if self._next is not None and COMMIT in data:
            fate, self._next = self._next, None
            self.doomed += 1
            if fate is Fate.REQUEST_LOST:
                raise ConnectionResetError
            _wire.get().fate = fate
        return data

    async def _coming_down(self, data: bytes) -> bytes:
        fate, _wire.get().fate = _wire.get().fate, None
        if fate is Fate.ANSWER_LOST:
            raise ConnectionResetError
        if fate is Fate.ANSWER_LATE:
            await asyncio.sleep(self._late_s)
        return data


class _Tapped(asyncio.StreamReader):
    """Whatever is read goes through a function first."""

    def __init__(self, reader: asyncio.StreamReader, tap: Callable[[bytes], Awaitable[bytes]]) -> None:
        super().__init__()
        self._reader = reader
        self._tap = tap

    async def read(self, n: int = -1) -> bytes:
        return await self._tap(await self._reader.read(n))
