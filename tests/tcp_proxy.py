"""A TCP proxy that fails on demand: what a network, or a server that is down, does to a connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

HOST = "127.0.0.1"
CHUNK_BYTES = 65_536
CALL_S = 10.0

T = TypeVar("T")


class TcpProxy:
    """Listens on a port of its own that stays the same, in a thread of its own. Use as a context manager.

    It starts open. What its methods ask for has happened when they return.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._delay_s = 0.0
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
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
        self.refuse()
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
        """Takes connections, on the same port as before."""
        self._call(self._resume())

    def delay(self, seconds: float) -> None:
        """Every piece that is passed on from now, in either direction, arrives that much later."""
        self._delay_s = seconds

    async def _resume(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        tasks = list(self._connections)
        for task, writer in self._connections.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back_writer.transport.abort()

    async def _pass_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._pass(data, writer)

    async def _pass_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._pass_up(reader, writer)

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        writer.write(data)
        await writer.drain()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)


class KafkaProxy(TcpProxy):
    """In front of one broker. It puts its own port where the broker names its own: a client finds no way around it.

    In every response of Kafka's protocol the port, in 4 bytes, follows the host; a response begins with its length.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._named = host.encode() + port.to_bytes(4, "big")

    async def _pass_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours = self._target[0].encode() + self.port.to_bytes(4, "big")
        with suppress(asyncio.IncompleteReadError):
            while True:
                size = await reader.readexactly(
                    4
                )  # a response's length; host and port follow each other in all of them
                response = await reader.readexactly(int.from_bytes(size, "big"))
                await self._pass(size + response.replace(self._named, ours), writer)
