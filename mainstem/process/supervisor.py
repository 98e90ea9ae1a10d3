"""Keeps one stream's process running: starts it, hears what it says, starts it again, stops it gently."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from uuid import uuid4

import orjson

from mainstem.errors import PROCESS_ENDED, Retryable
from mainstem.flow.retry import RetryPolicy
from mainstem.observe import metrics
from mainstem.observe.board import Board, State
from mainstem.observe.logs import logger

log = logger("mainstem.process.supervisor")

RESTART = RetryPolicy(first_s=0.2, max_s=10.0)
STEADY_S = 30.0
"""A process that lived that long starts the back-off anew."""
DRAIN_S = 10.0
"""How long a process may take to finish its batch, commit and leave the group."""
LINE_BYTES = 16 * 1024 * 1024
SAID_WHY = {os.EX_TEMPFAIL, os.EX_CONFIG}


class StreamSupervisor:
    """One stream of a project. What its process says of itself goes to `board` and to the merged metrics."""

    def __init__(
        self,
        folder: Path,
        stream: str,
        board: Board,
        *,
        part: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`part` is its name on the board where the stream has several processes, the stream's if it is left out;
        `environment` is what the process gets instead of this one's."""
        self._folder = folder
        self._stream = stream
        self._part = part or stream
        self._board = board
        self._environment = environment
        self._member = f"{stream}-{uuid4().hex}"
        self._process: Process | None = None
        self._before: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        board.report(self._part, State.STARTING)

    @property
    def counts(self) -> Mapping[str, int]:
        """Records by outcome (`processed`, `skipped`, `duplicate`, `dead_lettered`) since this supervisor began."""
        return self._before + self._now

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return None if self._process is None else self._process.pid

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set and the process has ended: by itself within DRAIN_S, or killed."""
        failures = 0
        try:
            while not stop.is_set():
                began = monotonic()
                code = await self._live(stop)
                if stop.is_set():
                    break
                failures = 1 if monotonic() - began > STEADY_S else failures + 1
                wait_s = RESTART.pause(failures)
                self._ended(code, wait_s)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await stop.wait()
        finally:
            self._board.report(self._part, State.STOPPED)

    async def _live(self, stop: asyncio.Event) -> int:
        """One life of the process; gives its exit status."""
        async with self._started() as (process, lines):
            hearing = asyncio.create_task(self._hear(lines))
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not hearing.done():
                    await self._stop(process)
                await asyncio.wait({hearing}, timeout=1.0)
            finally:
                hearing.cancel()
                stopping.cancel()
            return await process.wait()

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[tuple[Process, asyncio.StreamReader]]:
        """The process does not outlive this context, nor its standard input: it ends itself when that ends."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mainstem.process", "--project", str(self._folder)),
                *("--stream", self._stream, "--part", self._part, "--member", self._member),
                *("--reports", str(writing)),
                stdin=PIPE,
                pass_fds=(writing,),
                start_new_session=True,
                env=self._environment,
            )
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._process = process
        lines = asyncio.StreamReader(limit=LINE_BYTES)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(reading, "rb", 0)
        )
        try:
            yield process, lines
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            self._process = None
            self._before += self._now
            self._now = Counter()
            pipe.close()

    async def _hear(self, lines: asyncio.StreamReader) -> None:
        """Returns when the process has closed its end, which it does by ending."""
        while line := await lines.readline():
            if not line.endswith(b"\n"):
                return  # cut off in the middle of saying it
            said = orjson.loads(line)
            self._board.adopt(said["board"])
            metrics.adopt(self._part, said["metrics"])
            self._now = Counter(said["counts"])

    async def _stop(self, process: Process) -> None:
        process.terminate()
        try:
            async with asyncio.timeout(DRAIN_S):
                await process.wait()
        except TimeoutError:
            log.warning("killed: it did not end in time", part=self._part)
            process.kill()

    def _ended(self, code: int, wait_s: float) -> None:
        """What the process said last of itself stands; one that could say nothing is spoken for."""
        log.warning("process ended", part=self._part, status=code, restart_in_s=round(wait_s, 2))
        if code not in SAID_WHY:
            error = Retryable(f"its process ended with status {code} and is started again", code=PROCESS_ENDED)
            self._board.report(self._part, State.WAITING, error)
