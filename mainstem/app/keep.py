"""Keeps a part running: what it needs may be down or not set up yet when it starts, and may go away later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mainstem.errors import FUNCTION_FAILED, MainstemError, Misconfigured, Retryable
from mainstem.flow.retry import RetryPolicy
from mainstem.observe.board import Board, State
from mainstem.observe.bug import traceback_of
from mainstem.observe.logs import logger

log = logger("mainstem.app")

PROBE_S = 10.0
POLICY = RetryPolicy(first_s=0.2, max_s=10.0)


async def keep_running(part: str, run: Callable[[], Awaitable[None]], board: Board, stop: asyncio.Event) -> None:
    """Runs the part until `stop`; when it fails, says why on the board and starts it again.

    A part that waits or is paused costs the others nothing.
    """
    failures = 0
    while not stop.is_set():
        try:
            await run()
        except Retryable as error:
            failures += 1
            _say(board, part, State.WAITING, error)
            await _wait(stop, POLICY.pause(failures, wish_s=error.after_s))
        except MainstemError as error:
            _say(board, part, State.PAUSED, error)
            await _wait(stop, PROBE_S)
        except Exception as error:  # noqa: BLE001 - the boundary of one part: the other parts go on
            bug = Misconfigured(f"{part} failed with {type(error).__name__}", code=FUNCTION_FAILED)
            _say(board, part, State.PAUSED, bug, error)
            await _wait(stop, PROBE_S)
        else:
            failures = 0


def _say(board: Board, part: str, state: State, error: MainstemError, bug: BaseException | None = None) -> None:
    if board.report(part, state, error):
        seen = {} if bug is None else {"traceback": traceback_of(bug)}
        log.warning(state.value, part=part, code=error.code.number, cause=error.cause, fix=error.fix, **seen)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
