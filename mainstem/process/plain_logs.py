"""Takes what libraries log through the standard library over into ours."""

from __future__ import annotations

import logging

from mainstem.observe.logs import logger


class _IntoOurs(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """The template alone, without its arguments: Faust prints whole messages, payload included."""
        what = record.exc_info[0] if record.exc_info else None
        say = logger(record.name).error if record.levelno >= logging.ERROR else logger(record.name).warning
        say(str(record.msg).strip(), **({"exception": what.__name__} if what else {}))


def take_over() -> None:
    """Warnings and errors of every library."""
    root = logging.getLogger()
    root.handlers[:] = [_IntoOurs(logging.WARNING)]
    root.setLevel(logging.WARNING)
