"""Asks again while a broker that has just started, or moved, is not ready to answer."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from mainstem.errors import Retryable

DEADLINE_S = 30.0
RETRY_S = 0.1

T = TypeVar("T")


def patiently(ask: Callable[[], T], *, within_s: float = DEADLINE_S) -> T:
    """The answer; raises the last Retryable when the time is up. Blocks."""
    deadline = monotonic() + within_s
    while True:
        try:
            return ask()
        except Retryable:
            if monotonic() > deadline:
                raise
            sleep(RETRY_S)
