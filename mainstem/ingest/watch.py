"""Keeps a push source's state on the board true while nobody calls: an idle source must not stay unready for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

from mainstem.errors import MainstemError, Retryable
from mainstem.flow.retry import RetryPolicy
from mainstem.observe.board import Board, State
from mainstem.observe.logs import logger

PROGRESS_EVERY_S = 1.0
POLICY = RetryPolicy(first_s=1.0, max_s=10.0)

log = logger()


class Watch:
    """One part's state. Use as a context manager: `probe` is called until it succeeds after a failure.

    `probe` raises Retryable when Kafka does not answer and Misconfigured when the topic is missing. A load balancer
    sends nothing to an unready gateway, so its recovery cannot wait for the next request.
    """

    def __init__(self, board: Board, part: str, probe: Callable[[], Awaitable[None]]) -> None:
        self._board = board
        self._part = part
        self._probe = probe
        self._probing: asyncio.Task[None] | None = None
        self._noted_at = -PROGRESS_EVERY_S

    async def __aenter__(self) -> Watch:
        self._board.report(self._part, State.STARTING)
        try:
            await self._probe()
        except MainstemError as error:
            self.failed(error)
        else:
            self.succeeded()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop_probing()
        self._board.report(self._part, State.STOPPED)

    def succeeded(self) -> None:
        """Something was published. Called for every request: the board hears of it once a second."""
        now = monotonic()
        if now - self._noted_at >= PROGRESS_EVERY_S:
            self._noted_at = now
            self._board.progress(self._part)
            self._stop_probing()

    def failed(self, error: MainstemError) -> None:
        """Kafka did not take it."""
        self._noted_at = -PROGRESS_EVERY_S
        state = State.WAITING if isinstance(error, Retryable) else State.PAUSED
        if self._board.report(self._part, state, error):
            log.warning("push source cannot publish", part=self._part, code=error.code.number, reason=error.cause)
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe_until_well())

    async def _probe_until_well(self) -> None:
        failures = 0
        while True:
            failures += 1
            await asyncio.sleep(POLICY.pause(failures))
            with suppress(MainstemError):
                await self._probe()
                break
        self._board.progress(self._part)

    def _stop_probing(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None
