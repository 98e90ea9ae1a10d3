"""What differs between two documents, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from mainstem.recover.edit.setting import Step, path_text

NOTHING: Final = object()
"""There is no such field."""
OTHER: Final = " (another value)"


class Difference(NamedTuple):
    """One field; None stands for null and for a field that there is not."""

    field: str
    before: Any
    after: Any


def differences(before: Any, after: Any, *, shown_before: Any, shown_after: Any) -> list[Difference]:
    """The leaves that differ, as they may be shown: the `shown` documents are the same with personal fields masked."""
    paths = dict.fromkeys([*_leaves(shown_before), *_leaves(shown_after)])
    found = []
    for path in paths:
        if _at(before, path) == _at(after, path):
            continue
        old, new = _at(shown_before, path), _at(shown_after, path)
        if old is not NOTHING and old == new:
            new = f"{new}{OTHER}"
        found.append(Difference(path_text(path), _plain(old), _plain(new)))
    return found


def _leaves(document: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    parts = _parts(document)
    if not parts:
        yield path
    for step, part in parts:
        yield from _leaves(part, (*path, step))


def _parts(document: Any) -> list[tuple[Step, Any]]:
    if isinstance(document, Mapping):
        return list(document.items())
    return list(enumerate(document)) if isinstance(document, list) else []


def _at(document: Any, path: tuple[Step, ...]) -> Any:
    for step in path:
        parts = dict(_parts(document))
        if step not in parts:
            return NOTHING
        document = parts[step]
    return document


def _plain(value: Any) -> Any:
    return None if value is NOTHING else value
