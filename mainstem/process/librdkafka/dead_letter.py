"""The headers of a dead letter: where the record stood and why it was given up. Its key and value stay as they were."""

from __future__ import annotations

import traceback

from faust.types import TP

ORIGIN = "origin"
ERROR = "error"
TRACE = "trace"
MOST = 1000
TRACE_MOST = 8000


def letter(tp: TP, offset: int, error: BaseException) -> list[tuple[str, bytes]]:
    """`origin` is `topic/partition/offset`."""
    trace = "".join(traceback.format_exception(error))
    return [
        (ORIGIN, f"{tp.topic}/{tp.partition}/{offset}".encode()),
        (ERROR, f"{type(error).__name__}: {error}"[:MOST].encode()),
        (TRACE, trace[-TRACE_MOST:].encode()),
    ]
