"""The gateway as a whole: routes, access, refusals, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import orjson
from aiohttp.web import BaseRequest, Response, ServerRunner, TCPSite

from mainstem.errors import MainstemError, Misconfigured
from mainstem.gateway.access import AccessRules
from mainstem.gateway.listening import Listener
from mainstem.gateway.openapi import document
from mainstem.gateway.problem import problem, status_of, unexpected
from mainstem.gateway.publishing import Publishing
from mainstem.gateway.route import Access, Answer, Call, Route, Router
from mainstem.gateway.state import StateRoutes
from mainstem.gateway.webhooks import JSON, Webhooks
from mainstem.ingest.intake import Intake
from mainstem.ingest.push import PushIngest
from mainstem.ingest.trace import trace_id, traceparent
from mainstem.observe.board import Board, State
from mainstem.observe.logs import logger
from mainstem.project.gateway import GatewaySettings

PART = "gateway"
DRAIN_S = 10.0
"""Longer than a request may wait for Kafka."""
CLOSE_S = 1.0
SHOWN_CHARACTERS = 200

log = logger()


def _no_figures() -> Mapping[str, Any]:
    return {}


class Gateway:
    """Serves while it is entered. Leaving it lets every request that is under way finish, for DRAIN_S at most."""

    def __init__(
        self,
        settings: GatewaySettings,
        board: Board,
        *,
        sources: Mapping[tuple[str, str], PushIngest | None],
        topics: Mapping[str, Intake | None],
        figures: Callable[[], Mapping[str, Any]] = _no_figures,
        more: Sequence[Route] = (),
    ) -> None:
        """`sources` by integration and name, `topics` by name; None is one that is not open. Both may change."""
        self._settings = settings
        self._board = board
        self._rules = AccessRules(settings)
        routes = [
            *Webhooks(settings, sources).routes(),
            *Publishing(settings, topics).routes(),
            *StateRoutes(board, self._rules, figures).routes(),
            *more,
        ]
        about = Answer("OpenAPI 3.1.", dict[str, Any])
        summary = "This document."
        routes.append(
            Route("GET", "/api/v1/openapi.json", "openapi", summary, Access.OPEN, self._openapi, {200: about})
        )
        self.routes: Sequence[Route] = routes
        self._router = Router(routes)
        self._document = orjson.dumps(document(routes))
        self._under_way = 0
        self._draining = False
        self._idle = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens: the free port that was taken, where port 0 was asked for."""
        return f"http://{self._settings.host}:{self._site.port}"

    async def __aenter__(self) -> Self:
        """Listens. Raises Misconfigured when the address is taken or is not this machine's."""
        self._runner = ServerRunner(Listener(self._answer), shutdown_timeout=CLOSE_S)
        await self._runner.setup()
        self._site = TCPSite(self._runner, self._settings.host, self._settings.port)
        try:
            await self._site.start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{self._settings.host}:{self._settings.port}"
            raise Misconfigured(f"the gateway cannot listen on {where}: {error.strerror}") from None
        self._board.report(PART, State.RUNNING)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Takes no more connections, answers what is under way, closes. Stopping twice is stopping once."""
        if self._draining:
            return
        self._board.report(PART, State.STOPPED)
        self._draining = True
        await self._site.stop()
        if self._under_way:
            try:
                async with asyncio.timeout(DRAIN_S):
                    await self._idle.wait()
            except TimeoutError:
                log.warning("requests broken off at the stop", requests=self._under_way)
        await self._runner.cleanup()

    async def _answer(self, request: BaseRequest) -> Response:
        self._under_way += 1
        try:
            response = await self._call(request)
        except MainstemError as error:
            response = problem(error)
            _log_refusal(request, error)
        except Exception as error:  # noqa: BLE001 - the boundary: the caller learns an id, the log learns the rest
            parent = traceparent(request.headers.get("traceparent"))
            response = unexpected(trace_id(parent))
            _log_bug(request, error, trace_id(parent))
        finally:
            self._under_way -= 1
            if self._draining and not self._under_way:
                self._idle.set()
        if self._draining:
            response.force_close()
        return response

    async def _call(self, request: BaseRequest) -> Response:
        route, path = self._router.find(request.method, request.path)
        caller = self._rules.caller(route.access, request.headers, path.get("topic"))
        return await route.handle(Call(request, path, caller))

    async def _openapi(self, call: Call) -> Response:
        return Response(body=self._document, headers=JSON)


def _log_refusal(request: BaseRequest, error: MainstemError) -> None:
    """One line: which request, by its ids, and why; never what was in it."""
    log.warning(
        "request refused",
        status=status_of(error),
        code=error.code.number,
        reason=error.cause,
        method=request.method,
        path=request.path[:SHOWN_CHARACTERS],
        webhook_id=request.headers.get("webhook-id", "")[:SHOWN_CHARACTERS] or None,
    )


def _log_bug(request: BaseRequest, error: Exception, trace: str) -> None:
    """With where it happened, and without the exception's own words: they may quote the payload."""
    log.error(
        "request failed",
        status=500,
        error=type(error).__name__,
        trace_id=trace,
        method=request.method,
        path=request.path[:SHOWN_CHARACTERS],
        traceback="".join(traceback.format_tb(error.__traceback__)),
    )
