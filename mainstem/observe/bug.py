"""What a log may say of an unexpected exception."""

from __future__ import annotations

import traceback

NAMES_CODE = (AttributeError, ImportError, NameError, TypeError)
"""Their messages name code. Those of others (ValueError, KeyError) may quote values, which have no place in a log."""


def traceback_of(bug: BaseException) -> str:
    """Its frames and its class; its message only where that names code."""
    frames = "".join(traceback.format_tb(bug.__traceback__))
    said = f": {bug}" if isinstance(bug, NAMES_CODE) else ""
    return f"{frames}{type(bug).__name__}{said}"
