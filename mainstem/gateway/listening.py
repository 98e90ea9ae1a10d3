"""aiohttp's low-level server, so that what is not even HTTP is answered and logged like every other refusal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp.web import BaseRequest, RequestHandler, Response, Server, StreamResponse

from mainstem.errors import RequestRefused
from mainstem.gateway.problem import problem
from mainstem.observe.logs import logger

log = logger()

IDLE_S = 75.0
"""How long a connection may be idle, or take to send its headers; more than the 60 s after which proxies let go."""
LINGER_S = 2.0
"""How long what is still on its way is read after a refusal, so that the refusal arrives."""

# aiohttp quotes the offending bytes, which may be a secret header, so its own lines go nowhere.
_silent = logging.Logger("mainstem.gateway.http", logging.CRITICAL + 1)

Handler = Callable[[BaseRequest], Awaitable[StreamResponse]]


class _Connection(RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> StreamResponse:
        """What is not HTTP, or has headers that are too long."""
        kind = type(exc).__name__
        log.warning("request refused", status=status, reason=kind)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        answer: Response = problem(RequestRefused(f"the request is malformed ({kind})", status=status))
        answer.force_close()
        return answer


class Listener(Server):
    """Makes the connections."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)

    def __call__(self) -> RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # aiohttp's own way to say that there is none
            logger=_silent,
            keepalive_timeout=IDLE_S,
            lingering_time=LINGER_S,
            auto_decompress=False,  # signatures are over the bytes as they were sent
        )
