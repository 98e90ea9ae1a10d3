"""A YAML file as plain data, and where in the file each key and value begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mainstem.project.findings import Place

Loc = tuple[str | int, ...]
"""Keys and indices from the top of a document to a value."""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file: its data, and where each key and each value begins."""

    path: str
    """As shown to the user: relative to the project folder."""
    data: Any
    values: dict[Loc, tuple[int, int]] = field(repr=False)
    keys: dict[Loc, tuple[int, int]] = field(repr=False)
    elsewhere: dict[Loc, str] = field(default_factory=dict, repr=False)
    """Where values come from that were laid over the file's: a flag, a variable, a default."""

    def known(self, loc: Loc) -> Loc:
        """The location without the steps that the data does not have: pydantic names union members in its own."""
        known: Loc = ()
        for step in loc:
            if (*known, step) in self.values or (*known, step) in self.elsewhere:
                known = (*known, step)
        return known

    def at(self, loc: Loc, *, key: bool = False) -> Place:
        """The place of the value there, or of its key; of the nearest thing around it where there is no such value."""
        known = self.known(loc)
        for length in range(len(known), 0, -1):
            if known[:length] in self.elsewhere:
                return Place(self.elsewhere[known[:length]])
        marks = self.keys if key and known in self.keys else self.values
        return Place(self.path, *marks.get(known, (1, 1)))

    def get(self, loc: Loc) -> Any:
        """The value there; None where there is none."""
        found = self.data
        for step in loc:
            held = isinstance(found, dict) or (isinstance(found, list) and isinstance(step, int))
            try:
                found = found[step] if held else None
            except LookupError:
                return None
        return found


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a document, so that errors about it can name line and column."""

    document: Document
    loc: Loc = ()

    def at(self, *steps: str | int, key: bool = False) -> Place:
        """The place of something in it."""
        return self.document.at((*self.loc, *steps), key=key)

    def within(self, *steps: str | int) -> Region:
        """A smaller part."""
        return Region(self.document, (*self.loc, *steps))
