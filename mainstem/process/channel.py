"""What a child process tells its parent: one line of JSON after the other through an inherited pipe."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson

EVERY_S = 0.25


class Channel:
    """The child's end. Never blocks: while the parent does not read, lines are left out."""

    def __init__(self, pipe: int, say: Callable[[], Mapping[str, Any]], broken: Callable[[], None]) -> None:
        self._pipe = pipe
        self._say = say
        self._broken = broken
        self._news = asyncio.Event()
        self._rest = b""
        self._one_at_a_time = threading.Lock()
        os.set_blocking(pipe, False)

    def changed(self) -> None:
        """There is something to tell at once."""
        self._news.set()

    async def run(self) -> None:
        """Tells every EVERY_S and on every change, until it is cancelled; then once more."""
        try:
            while True:
                self._tell()
                # Not wait_for, which in Python 3.11 forgets a cancellation that comes together with the news.
                with suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        await self._news.wait()
                self._news.clear()
        finally:
            self._tell()

    def last(self) -> None:
        """Tells what there is to tell, from any thread: the process is about to end."""
        self._tell()
        self._tell()  # the first one may have had the rest of an earlier line to tell

    def _tell(self) -> None:
        with self._one_at_a_time:
            if not self._rest:
                self._rest = orjson.dumps(self._say(), option=orjson.OPT_APPEND_NEWLINE)
            try:
                while self._rest:
                    self._rest = self._rest[os.write(self._pipe, self._rest) :]
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._rest = b""
                self._broken()
