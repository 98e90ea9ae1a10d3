"""Runs a backbone and its gateway in this process until a signal, or whoever started it, stops it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvloop

from mainstem.app import interpreter
from mainstem.app.backbone import Backbone
from mainstem.gateway.server import Gateway

SIGNALS = (signal.SIGINT, signal.SIGTERM)
T = TypeVar("T")


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Runs to its end on the fast event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@asynccontextmanager
async def hosted(backbone: Backbone) -> AsyncIterator[Gateway]:
    """The backbone runs and the gateway serves inside the block. On leaving, what is under way is finished:
    first the gateway takes no more, then sources, streams and sinks drain."""
    stop = asyncio.Event()
    services = backbone.services
    edge = backbone.edge
    gateway = Gateway(
        services.project.gateway, services.board, sources=edge.sources, topics=edge.topics, figures=backbone.figures
    )
    interpreter.settle()
    running = asyncio.create_task(backbone.run(stop))
    try:
        async with gateway:
            yield gateway
    finally:
        stop.set()
        await running


async def signalled(stop: asyncio.Event) -> int:
    """Waits for SIGINT, SIGTERM or `stop`; gives the exit code that a signal asks for (130, 143), or 0."""
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def heard(number: int) -> None:
        received.append(number)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, heard, number)
    try:
        await stop.wait()
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    return 128 + received[0] if received else 0
