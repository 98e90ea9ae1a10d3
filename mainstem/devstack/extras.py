"""Libraries that only the development stack needs: loaded when it starts, so that the rest runs without them."""

from __future__ import annotations

import importlib
from typing import Any

from mainstem.errors import MISSING_EXTRA, Misconfigured


def load(module: str, *, install: str = "mainstem[dev]") -> Any:
    """The module of that name. Raises `Misconfigured` (MISSING_EXTRA) that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Misconfigured(
            f"the development stack needs the Python module {module!r}: {error}",
            code=MISSING_EXTRA,
            fix=f"pip install '{install}'",
        ) from error
