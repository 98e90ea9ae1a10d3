"""A stack that somebody else runs, named by environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from mainstem.devstack.stack import Stack
from mainstem.errors import Misconfigured

BOOTSTRAP: Final = "MAINSTEM_KAFKA__BOOTSTRAP"
REGISTRY: Final = "MAINSTEM_REGISTRY__URL"
POSTGRES: Final = "MAINSTEM_STACK_POSTGRES_DSN"


def given_stack(environ: Mapping[str, str] = os.environ) -> Stack | None:
    """The stack that the three variables name; None when none of them is set.

    Raises `Misconfigured` when only some are: half a stack of ours beside somebody else's Kafka is never meant.
    """
    names = (BOOTSTRAP, REGISTRY, POSTGRES)
    missing = [name for name in names if not environ.get(name)]
    if len(missing) == len(names):
        return None
    if missing:
        present = ", ".join(name for name in names if name not in missing)
        raise Misconfigured(
            f"{present} is set, but {', '.join(missing)} is not",
            fix="set all three to use a running stack, or none to have one started",
        )
    return Stack(environ[BOOTSTRAP], environ[REGISTRY].rstrip("/"), environ[POSTGRES])
