"""What `mainstem dev` has left in the project folder about the servers that it runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mainstem.errors import BAD_PROJECT, STACK_NOT_RUNNING, Misconfigured

StackValue = Literal["bootstrap", "registry_url", "postgres_dsn"]
STACK_VALUES: tuple[StackValue, ...] = get_args(StackValue)
STATE_FILE = Path(".mainstem/stack.json")

_NOWHERE = "mainstem-dev-is-not-running.invalid"
PLACEHOLDERS: dict[StackValue, str] = {
    "bootstrap": f"{_NOWHERE}:9092",
    "registry_url": f"http://{_NOWHERE}",
    "postgres_dsn": f"postgresql://{_NOWHERE}/postgres",
}
"""What stands for each value while only shapes matter: well formed, and sure to lead nowhere (RFC 6761)."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The development stack of one project folder, as its state file tells; read anew each time."""

    folder: Path

    def get(self, name: StackValue) -> str:
        """One value; raises Misconfigured (STACK_NOT_RUNNING) where no stack runs or it has no such server."""
        try:
            state = json.loads((self.folder / STATE_FILE).read_bytes())
        except FileNotFoundError:
            raise Misconfigured("the development stack is not running", code=STACK_NOT_RUNNING) from None
        except (OSError, ValueError, RecursionError):
            fix = "stop and start `mainstem dev`"
            raise Misconfigured(f"{STATE_FILE} cannot be read", code=BAD_PROJECT, fix=fix) from None
        value = state.get(name) if isinstance(state, dict) else None
        if not isinstance(value, str) or not value:
            raise Misconfigured(f"the development stack has no {name}", code=STACK_NOT_RUNNING)
        return value
