"""The event that Faust's tables take for the current one, where there is none of Faust's own."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from faust.streams import _current_event


class Place(NamedTuple):
    """What is asked of a message."""

    topic: str
    partition: int
    timestamp: float
    """Unix seconds."""


class Now:
    """As much of an event as a table or a window asks for."""

    __slots__ = ("__weakref__", "message", "value")

    def __init__(self, message: Place, value: Any = None) -> None:
        self.message = message
        self.value = value


@contextmanager
def current(now: Now) -> Iterator[None]:
    """Within it, it is the current event: windows are chosen by its time; what is sent is part of the transaction."""
    token = _current_event.set(weakref.ref(now))  # type: ignore[arg-type]
    try:
        yield
    finally:
        _current_event.reset(token)
