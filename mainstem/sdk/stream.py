"""What the author of a stream writes: a plain function and a decorator."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mainstem.event import Data, Event

Table = Mapping[str, Data]
"""Reference data by key: every worker has the whole compacted topic, in production and as a plain dict in a test."""

Result = Event | Iterable[Event] | None
StreamFunction = Callable[..., Result | Awaitable[Result]]


@dataclass(frozen=True)
class Stream:
    """A stream: its function, what it reads and writes, and the reference tables that it is given by name.

    Calling it calls the function, so a test is `settle_payments(event, products={...})`.
    """

    function: StreamFunction
    reads: str
    writes: str
    tables: Mapping[str, str] = field(default_factory=dict)
    """Parameter name -> compacted topic."""

    @property
    def name(self) -> str:
        return str(self.function.__name__)

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def __call__(self, event: Event, **tables: Table) -> Any:
        return self.function(event, **tables)


def stream(*, reads: str, writes: str, tables: Mapping[str, str] | None = None) -> Callable[[StreamFunction], Stream]:
    """Makes a stream of a function `(event, **tables) -> Event | several | None`.

    The function may be async. An event that it returns keeps the id and time of the one it came from unless it sets its
    own; it raises Rejected for a record that can never be processed. `tables` names, for each further parameter, the
    compacted topic that it holds.
    """

    def decorate(function: StreamFunction) -> Stream:
        parameters = list(inspect.signature(function).parameters)
        if not parameters:
            raise TypeError(f"stream {function.__name__}: it takes no event")
        named = set(parameters[1:])
        given = set(tables or {})
        if named != given:
            names = f"its parameters after the event are {sorted(named)}, its tables {sorted(given)}"
            raise TypeError(f"stream {function.__name__}: {names}")
        return Stream(function, reads, writes, dict(tables or {}))

    return decorate
