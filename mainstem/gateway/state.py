"""How the process is doing: for probes, for Prometheus and for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp.web import Response

from mainstem.gateway.access import AccessRules
from mainstem.gateway.models import AliveOut, ReadyOut, StatusOut
from mainstem.gateway.route import Access, Answer, Call, Route
from mainstem.gateway.webhooks import JSON, refusals
from mainstem.observe import metrics
from mainstem.observe.board import Board

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


class StateRoutes:
    """Serves the board, the metrics and the figures that the process gathers."""

    def __init__(self, board: Board, rules: AccessRules, figures: Callable[[], Mapping[str, Any]]) -> None:
        self._board = board
        self._rules = rules
        self._figures = figures

    def routes(self) -> list[Route]:
        refused = refusals(401, 500)
        ready = {200: Answer("Every part gets on.", ReadyOut), 503: Answer("A part does not.", ReadyOut)}
        exposition = {200: Answer("Prometheus' text format.", str, EXPOSITION), **refused}
        status = {200: Answer("The state now.", StatusOut), **refused}
        return [
            Route("GET", "/healthz", "isAlive", "Whether the process answers.", Access.OPEN, self._alive,
                  {200: Answer("It does.", AliveOut)}),
            Route("GET", "/readyz", "isReady", "Whether every part gets on.", Access.OPEN, self._ready, ready),
            Route("GET", "/metrics", "metrics", "Figures for Prometheus.", Access.KEY, self._metrics, exposition),
            Route("GET", "/api/v1/status", "status", "What every part is doing.", Access.KEY, self._status, status),
        ]  # fmt: skip

    async def _alive(self, call: Call) -> Response:
        return Response(body=b'{"alive":true}', headers=JSON)

    async def _ready(self, call: Call) -> Response:
        ready = self._board.is_ready()
        parts = self._parts(with_reasons=self._rules.knows(call.request.headers))
        return Response(status=200 if ready else 503, body=orjson.dumps({"ready": ready, "parts": parts}), headers=JSON)

    async def _metrics(self, call: Call) -> Response:
        return Response(body=metrics.merged(), headers={"Content-Type": EXPOSITION})

    async def _status(self, call: Call) -> Response:
        status = {
            "version": metrics.VERSION,
            "ready": self._board.is_ready(),
            "parts": self._parts(with_reasons=True),
            "figures": dict(self._figures()),
        }
        return Response(body=orjson.dumps(status), headers=JSON)

    def _parts(self, *, with_reasons: bool) -> dict[str, dict[str, Any]]:
        parts = self._board.as_json()
        if not with_reasons:
            for part in parts.values():
                del part["reason"]
        return parts
