"""One field set from the command line: `path=TEXT`, or `path:=JSON` for what text cannot say."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from mainstem.errors import SCHEMA_REFUSES, Rejected

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[([0-9]{1,9})\]")

Step = str | int


@dataclass(frozen=True, slots=True)
class Setting:
    """Where, and what."""

    path: tuple[Step, ...]
    value: Any

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """A new document with it. Raises Rejected (MS-104) where the path leads through something that is not there."""
        changed = deepcopy(document)
        place: Any = changed
        for depth, step in enumerate(self.path[:-1]):
            place = _enter(place, step, self.path[: depth + 1])
        last = self.path[-1]
        if isinstance(last, int) and isinstance(place, list) and last == len(place):
            place.append(self.value)
        elif isinstance(last, str) and isinstance(place, dict):
            place[last] = self.value  # a field that there is not is for the schema to judge
        else:
            _enter(place, last, self.path)
            place[last] = self.value
        return changed


def parse_setting(text: str) -> Setting:
    """`lines[0].net=12.50`, `note:=null`. Raises ValueError."""
    path, sign, value = text.partition("=")
    is_json = path.endswith(":")
    steps = _steps(path.removesuffix(":"))
    if not sign or steps is None:
        raise ValueError(f"{text!r} is not path=TEXT or path:=JSON, with a path like lines[0].net")
    try:
        return Setting(steps, json.loads(value) if is_json else value)
    except json.JSONDecodeError:
        raise ValueError(f"{value!r} is not JSON: write path=TEXT for text") from None


def path_text(path: Sequence[Step]) -> str:
    """The path as it is written."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _steps(path: str) -> tuple[Step, ...] | None:
    found: list[Step] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return None
        found.append(step[1] if step[1] is not None else int(step[2]))
        at = step.end()
    return tuple(found) or None


def _enter(place: Any, step: Step, path: Sequence[Step]) -> Any:
    has_it = (isinstance(place, dict) and step in place) or (
        isinstance(place, list) and isinstance(step, int) and step < len(place)
    )
    if not has_it:
        around = path_text(path[:-1]) or "the record"
        holds = f"has {len(place)} items" if isinstance(place, list) else "has no such part"
        raise Rejected(
            f"{path_text(path)}: {around} {holds}",
            code=SCHEMA_REFUSES,
            fix=f"correct the path, or set the whole of it as JSON: {around}:=...",
        )
    return place[step]
