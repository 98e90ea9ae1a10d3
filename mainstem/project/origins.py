"""Where each setting of mainstem.yaml comes from: `mainstem config show --origin`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from mainstem.project import shape
from mainstem.project.document import Document, Loc, Region
from mainstem.project.interpolate import is_secret
from mainstem.project.layers import DEFAULT
from mainstem.project.load import read_project
from mainstem.project.model import ProjectFile
from mainstem.sdk.secret import MASK, Secret

_NO_FLAGS: Mapping[str, str] = {}


_USER_IN_URL = re.compile(r"//[^/@\s]+@")


class Setting(NamedTuple):
    """One setting: `kafka.bootstrap`, its value (secrets masked), and where the value was found."""

    key: str
    value: str
    origin: str


def settings(
    folder: Path, *, flags: Mapping[str, str] = _NO_FLAGS, environ: Mapping[str, str] | None = None
) -> tuple[Setting, ...]:
    """All settings in the order of the documentation. References that cannot be resolved are shown as written.

    What is wrong with the file is not reported here: settings that it hides are shown as defaults.
    """
    contents = read_project(folder, flags=flags, environ=environ)
    document = contents.document or Document("mainstem.yaml", {}, {}, {})
    resolved = contents.references.resolve(document.data, Region(document))
    return tuple(_rows(ProjectFile, resolved.value, document, resolved.pending, ()))


def _rows(
    model: type[BaseModel], data: Any, document: Document, pending: frozenset[Loc], loc: Loc
) -> Iterator[Setting]:
    for key, field in shape.keys(model).items():
        here = (*loc, key)
        given = isinstance(data, dict) and key in data
        value = data[key] if given else None
        section = shape.model_at(field.annotation, ())
        if section is not None:
            yield from _rows(section, value, document, pending, here)
            continue
        if not given:
            value = None if field.is_required() else field.get_default(call_default_factory=True)
        shown = document.get(here) if here in pending else value
        origin = str(document.at(here)) if given else DEFAULT
        yield Setting(".".join(map(str, here)), _shown(shown, field.annotation), origin)


def _shown(value: Any, annotation: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Secret) or shape.mentions(annotation, Secret):
        return value if isinstance(value, str) and is_secret(value) else MASK
    match value:
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(_shown(item, None) for item in value)
        case dict():
            return "{" + ", ".join(f"{key}: {_shown(item, None)}" for key, item in value.items()) + "}"
        case _:
            return _USER_IN_URL.sub(f"//{MASK}@", str(value))
