"""One route as a value: the server serves it, and the OpenAPI document describes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from typing import Any, NamedTuple

from aiohttp.web import BaseRequest, Response

from mainstem.errors import RequestRefused

KNOWN_PATHS = 256
"""Paths whose route is remembered: the same few are called all the time."""


class Access(Enum):
    """Who may call a route."""

    OPEN = auto()
    """Anybody: probes and documentation."""
    SIGNED = auto()
    """Whoever signs the request: the push source verifies it."""
    KEY = auto()
    """A caller with a valid API key."""
    TOPIC = auto()
    """A caller whose API key allows the topic in the path."""


class Call(NamedTuple):
    """A request that may go on: who calls (None: nobody was asked), and the parts of the path."""

    request: BaseRequest
    path: Mapping[str, str]
    caller: str | None


@dataclass(frozen=True)
class Answer:
    """A status that a route answers with."""

    says: str
    model: type[Any] | None = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Route:
    """A method and a path; `{name}` in the path stands for one whole segment."""

    method: str
    path: str
    name: str
    summary: str
    access: Access
    handle: Callable[[Call], Awaitable[Response]]
    answers: Mapping[int, Answer]
    body: Any = None
    """The type of the request's body: None where it has none, bytes where it is the source's own affair."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Request headers that mean something here, with what they mean."""


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._whole: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[list[str], dict[str, Route]]] = []
        self._at = lru_cache(KNOWN_PATHS)(self._look_up)
        for route in routes:
            self._methods(route.path)[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """The route and the named parts of the path. Raises RequestRefused: 404, or 405 where the method is wrong."""
        methods, named = self._at(path)
        if methods is None:
            raise RequestRefused("there is nothing at this path", status=404)
        route = methods.get(method)
        if route is None:
            raise MethodRefused(sorted(methods))
        return route, named

    def _methods(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._whole.setdefault(path, {})
        segments = path.split("/")
        for known, methods in self._patterns:
            if known == segments:
                return methods
        self._patterns.append((segments, {}))
        return self._patterns[-1][1]

    def _look_up(self, path: str) -> tuple[dict[str, Route] | None, Mapping[str, str]]:
        if path in self._whole:
            return self._whole[path], {}
        segments = path.split("/")
        for pattern, methods in self._patterns:
            if len(pattern) == len(segments):
                named = _match(pattern, segments)
                if named is not None:
                    return methods, named
        return None, {}


class MethodRefused(RequestRefused):
    """405: the path is there, for other methods."""

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(f"this path takes {', '.join(allowed)}", status=405)
        self.allowed = allowed


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    named = {}
    for wanted, segment in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            if not segment:
                return None
            named[wanted[1:-1]] = segment
        elif wanted != segment:
            return None
    return named
