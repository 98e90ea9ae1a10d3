"""Structured logs: one JSON object a line on stderr, with event and trace ids and never a payload value."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

logger = structlog.get_logger


def configure(*, level: str = "info", json: bool = True) -> None:
    """Sets up logging for this process. `json=False` is for a person at a terminal."""
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
