"""What is wrong with a project, where, and how to mend it: one value for `lint`, for errors and for editors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mainstem.errors import BAD_PROJECT, Code, Misconfigured


class Place(NamedTuple):
    """A spot in a file: the path as shown to the user, line and column from 1. Line 0 means the file as a whole."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


class Severity(StrEnum):
    """An error stops a run, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. No value of a secret is ever part of it."""

    path: str
    line: int
    column: int
    severity: Severity
    message: str
    fix: str
    code: Code

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.path, self.line, self.column)

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.message} ({self.code.number}; fix: {self.fix})"


class ProjectError(Misconfigured):
    """A finding that stops what was being done."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.place}: {finding.message}", code=finding.code, fix=finding.fix)
        self.finding = finding


def error(place: Place, message: str, *, fix: str | None = None, code: Code = BAD_PROJECT) -> Finding:
    """An error-level finding."""
    return Finding(*place, Severity.ERROR, message, fix or code.fix, code)


def warning(place: Place, message: str, *, fix: str, code: Code = BAD_PROJECT) -> Finding:
    """A warning."""
    return Finding(*place, Severity.WARNING, message, fix, code)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean `x`?` or nothing: the nearest of the known names, if one is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def listed(known: Iterable[str]) -> str:
    """The known names for an error's text, or `none`."""
    return ", ".join(sorted(known)) or "none"
