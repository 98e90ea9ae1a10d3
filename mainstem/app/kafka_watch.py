"""Says on the board whether Kafka answers: a part that has nothing to do would not notice for a long time."""

from __future__ import annotations

import asyncio

from mainstem.errors import MainstemError
from mainstem.kafka.topics import Admin
from mainstem.observe.board import Board, State
from mainstem.observe.logs import logger

PART = "kafka"
EVERY_S = 2.0
ANSWER_S = 5.0
"""A broker that is busy for a moment is not gone; one that has said nothing for that long is of no use to anybody."""

log = logger("mainstem.app")


async def watch_kafka(admin: Admin, board: Board, stop: asyncio.Event) -> None:
    """Asks until `stop`."""
    board.report(PART, State.STARTING)
    while not stop.is_set():
        try:
            await asyncio.to_thread(admin.check, ANSWER_S)
        except MainstemError as error:
            if board.report(PART, State.WAITING, error):
                log.warning("waiting", part=PART, code=error.code.number, cause=error.cause, fix=error.fix)
        else:
            board.progress(PART)
        try:
            await asyncio.wait_for(stop.wait(), EVERY_S)
        except TimeoutError:
            continue
    board.report(PART, State.STOPPED)
