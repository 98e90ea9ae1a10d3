"""A TCP proxy that fails on demand: what a network, or a server that is down, does to a connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any, Self, TypeVar

HOST = "127.0.0.1"
CHUNK_BYTES = 65_536
CALL_S = 10.0
ACCEPT_TURNS = 50
"""Of the loop, until a connection that is being accepted is known, and so can be cut too."""

T = TypeVar("T")


class Way(Enum):
    """A direction of the bytes."""

    UP = "to the server"
    DOWN = "to the client"


class TcpProxy:
    """Listens on a port of its own that stays the same, in a thread of its own. Use as a context manager.

    It starts open. What its methods ask for has happened when they return.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._delay_s = 0.0
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._swallowed: frozenset[Way] = frozenset()
        self._open = asyncio.Event()
        self._cut_after: int | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self.port = 0

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S)
        self._loop.close()

    def cut(self) -> None:
        """Resets every connection; new ones are taken."""
        self._call(self._cut())

    def refuse(self) -> None:
        """Resets every connection and refuses new ones: the server is down."""
        self._call(self._refuse())

    def resume(self) -> None:
        """Takes connections, on the same port as before, and passes everything on again.

        Connections that may have lost bytes are reset.
        """
        self._call(self._resume())

    def delay(self, seconds: float) -> None:
        """Every piece that is passed on from now, in either direction, arrives that much later."""
        self._delay_s = seconds

    def swallow(self, *ways: Way) -> None:
        """Half-open: connections stay up and are taken, and what is sent in these directions never arrives."""
        self._call(self._swallow(frozenset(ways)))

    def hold(self) -> None:
        """Answers of the server are held back, until `resume`: nothing is lost, everything is late."""
        self._call(self._hold())

    def truncate(self, after_bytes: int) -> None:
        """The next answer of any connection is passed on up to so many bytes; then its connection is reset."""
        self._call(self._truncate(after_bytes))

    async def _resume(self) -> None:
        if self._swallowed:
            self._swallowed = frozenset()
            await self._cut()
        self._cut_after = None
        self._open.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _swallow(self, ways: frozenset[Way]) -> None:
        self._swallowed = ways

    async def _hold(self) -> None:
        self._open.clear()

    async def _truncate(self, after_bytes: int) -> None:
        self._cut_after = after_bytes

    async def _refuse(self) -> None:
        if self._server is not None:
            for listener in self._server.sockets:
                # Whom asyncio has accepted but not yet made a transport for is left open when the server closes.
                self._loop.remove_reader(listener.fileno())
            await self._accepted()
            self._server.close()
            self._server = None
        await self._cut()

    async def _close(self) -> None:
        await self._refuse()
        await self._cut()  # whoever came to its task only while the others were ended

    async def _cut(self) -> None:
        await self._accepted()
        tasks = list(self._connections)
        for task, writer in self._connections.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self) -> None:
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._connect(reader, writer)
        finally:
            del self._connections[task]
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(*self._target)
        ways = {
            asyncio.ensure_future(self._pass_up(reader, back_writer)),
            asyncio.ensure_future(self._pass_down(back_reader, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back_writer.transport.abort()  # before the wait: that may be cancelled
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._pass(Way.UP, data, writer)
        await self._end(Way.UP)

    async def _pass_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._pass(Way.DOWN, data, writer)
        await self._end(Way.DOWN)

    async def _pass(self, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        if way is Way.DOWN:
            await self._open.wait()
            data = await self._truncated(data, writer)
        if way in self._swallowed:
            return
        writer.write(data)
        await writer.drain()

    async def _truncated(self, data: bytes, writer: asyncio.StreamWriter) -> bytes:
        if self._cut_after is None:
            return data
        passed, self._cut_after = data[: self._cut_after], None
        writer.write(passed)
        await writer.drain()
        raise ConnectionResetError

    async def _end(self, way: Way) -> None:
        """The end of a direction that is swallowed arrives no more than its bytes do."""
        if way in self._swallowed:
            await asyncio.Event().wait()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)
