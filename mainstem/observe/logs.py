"""Structured logs: one JSON object a line on stderr, with event and trace ids and never a payload value."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog

from mainstem.observe.plain_logs import take_over

logger = structlog.get_logger

LEVEL = "MAINSTEM_LOG_LEVEL"


def configure(*, json: bool = True) -> None:
    """Sets up logging for this process, at the level that the environment names. `json=False` is for a terminal."""
    level = os.environ.get(LEVEL, "info").upper()
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level, logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    if json:
        take_over()
