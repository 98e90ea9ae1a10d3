"""A real HTTP server that takes what is posted, and misbehaves as it is told: every effect is remembered."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web

HOST = "127.0.0.1"
START_S = 10.0


class Effect(NamedTuple):
    """One record that was taken."""

    event_id: str
    key: str
    token: str
    """Its idempotency key."""
    writer: str
    """The process that posted it, as far as it said."""
    at: float


class HttpTarget:
    """Serves from a thread of its own. Use as a context manager; `stop` and `start` make it go away and come back.

    Any other one may be asked to misbehave: `fails` gives the name of a misbehaviour for an event, or None. An event of
    `refused` is always answered with 422. A second request with the same token has its effect too: what is tested is
    how often it comes.
    """

    def __init__(self, port: int, *, fails: Callable[[str], str | None] = lambda _: None) -> None:
        self.url = f"http://{HOST}:{port}/"
        self.effects: list[Effect] = []
        self.refused: Callable[[str], bool] = lambda _: False
        self.requests: Counter[str] = Counter()
        """How often each event was posted, with or without an effect."""
        self.misbehaved: Counter[str] = Counter()
        self.hangs: set[str] = set()
        """Events whose answer does not come before they are taken out of here."""
        self.busy_once: set[str] = set()
        """Events that are answered with 429 the first time."""
        self.retry_after_s = 0.1
        self._fails = fails
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._acts: Mapping[str, Callable[[web.Request, Effect], Awaitable[web.StreamResponse]]] = {
            "reset": self._reset,
            "hang": self._hang,
            "answer lost": self._lose_answer,
            "429": self._busy,
            "503": self._unwell,
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it listens."""
        listens = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(listens,), name="http-target", daemon=True)
        self._thread.start()
        if not listens.wait(START_S):
            raise RuntimeError(f"nobody listens at {self.url}")

    def stop(self) -> None:
        """Connections are refused from now on, and those that there are are cut."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def ids(self) -> list[str]:
        """The events that were taken, in order, repeats included."""
        return [effect.event_id for effect in self.effects]

    def _serve(self, listens: threading.Event) -> None:
        asyncio.run(self._run(listens))

    async def _run(self, listens: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        app = web.Application()
        app.router.add_post("/", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, HOST, self._port, reuse_address=True)
        await site.start()
        listens.set()
        await self._stopping.wait()
        await runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        token, writer = request.headers["Idempotency-Key"], request.headers.get("X-Writer", "")
        effect = Effect(body["id"], body["key"], token, writer, monotonic())
        self.requests[effect.event_id] += 1
        while effect.event_id in self.hangs:  # noqa: ASYNC110 - changed from another thread
            await asyncio.sleep(0.01)
        if self.refused(effect.event_id):
            return web.Response(status=422)
        fault = "429" if effect.event_id in self.busy_once else self._fails(effect.event_id)
        self.busy_once.discard(effect.event_id)
        if fault is None:
            return self._done(effect)
        self.misbehaved[fault] += 1
        return await self._acts[fault](request, effect)

    def _done(self, effect: Effect) -> web.Response:
        self.effects.append(effect._replace(at=monotonic()))
        return web.Response()

    async def _reset(self, request: web.Request, _effect: Effect) -> web.StreamResponse:
        return self._abort(request)

    async def _lose_answer(self, request: web.Request, effect: Effect) -> web.StreamResponse:
        self._done(effect)
        return self._abort(request)

    async def _hang(self, _request: web.Request, _effect: Effect) -> web.StreamResponse:
        await self._stopping.wait()
        return web.Response(status=503)

    async def _busy(self, _request: web.Request, _effect: Effect) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": f"{self.retry_after_s:g}"})

    async def _unwell(self, _request: web.Request, _effect: Effect) -> web.StreamResponse:
        return web.Response(status=503)

    def _abort(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


FAULTS = ("reset", "answer lost", "429", "503", "503", "reset", "hang")


def sometimes(share: float, dice: random.Random) -> Callable[[str], str | None]:
    """Misbehaves in that share of the requests, whatever they are about."""
    return lambda _: dice.choice(FAULTS) if dice.random() < share else None
