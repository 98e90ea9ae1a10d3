"""Relative paths in a project's files start at the project folder, wherever the program was started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mainstem.project import shape


def anchor(model: type[BaseModel], data: Any, folder: Path) -> Any:
    """The data with each relative path of a field of type Path made absolute. The data itself is not changed."""
    anchored = _rebuilt(data)
    for loc, annotation, value in shape.leaves(model, data):
        if loc and isinstance(value, str) and shape.mentions(annotation, Path) and not shape.mentions(annotation, str):
            holder = anchored
            for step in loc[:-1]:
                holder = holder[step]
            holder[loc[-1]] = str(folder / value)
    return anchored


def _rebuilt(data: Any) -> Any:
    """New dicts and lists around the same values; a secret is never copied."""
    match data:
        case dict():
            return {key: _rebuilt(inner) for key, inner in data.items()}
        case list():
            return [_rebuilt(inner) for inner in data]
        case _:
            return data
