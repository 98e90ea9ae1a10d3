"""Takes over what libraries say through the standard library: the same lines of JSON, and never an argument's value."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType

import structlog

from mainstem.observe.bug import traceback_of

Say = Callable[..., object]


AGAIN_S = 30.0
"""A library that cannot connect says so forty times a second."""
KNOWN = 1000


class _IntoOurs(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets the same thing pass once in AGAIN_S."""
        what = (record.name, str(record.msg))
        if monotonic() - self._said_at.get(what, -AGAIN_S) < AGAIN_S:
            return False
        if len(self._said_at) >= KNOWN:
            self._said_at.clear()
        self._said_at[what] = monotonic()
        return bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """The template alone, without its arguments: Faust prints whole messages, payload included."""
        what = record.exc_info[0] if record.exc_info else None
        logger = structlog.get_logger(record.name)
        say: Say = logger.error if record.levelno >= logging.ERROR else logger.warning
        say(str(record.msg).strip(), **({"exception": what.__name__} if what else {}))


def take_over() -> None:
    """Warnings and errors of every library, and what ends a thread or the process itself."""
    root = logging.getLogger()
    root.handlers[:] = [_IntoOurs(logging.WARNING)]
    root.setLevel(logging.WARNING)
    sys.excepthook = _process_ended
    threading.excepthook = _thread_ended


def _process_ended(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    structlog.get_logger("mainstem").error("ended by a bug", traceback=traceback_of(error))


def _thread_ended(happened: threading.ExceptHookArgs) -> None:
    name = happened.thread.name if happened.thread else None
    bug = happened.exc_value
    say = structlog.get_logger("mainstem").error
    say("a thread ended", thread=name, traceback=None if bug is None else traceback_of(bug))
