"""The documentation's pages as a reader meets them: files to write, commands to type, links to follow."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[3]
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])

_FILE = re.compile(r"^`([\w./-]+)`:\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(
    r"(?:connectors|data|deploy|integrations|mainstem|schemas|streams|tests)/[\w/-]+\.(?:avsc|md|py|sql|yaml)"
)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


class File(NamedTuple):
    """A block that the page tells the reader to write into a file of the project."""

    path: str
    language: str
    text: str


def files(page: Path) -> list[File]:
    """The blocks under a line that is only a path and a colon."""
    return [File(*found.groups()) for found in _FILE.finditer(page.read_text())]


def blocks(page: Path, language: str) -> list[str]:
    """All blocks of a language, whether they are a file or not."""
    fenced = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return fenced.findall(page.read_text())


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """Every command of that program in console blocks and in code spans, as words."""
    text = page.read_text()
    lines = [line for block in _CONSOLE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *_SPAN.findall(_FENCED.sub("", text))]:
        for part in re.split(r"\s+(?:&&|\||;)\s+", line.split("  #")[0]):
            words = _words(part)
            if words and words[0] == program:
                yield words[1:]


def links(page: Path) -> Iterator[Path]:
    """The targets of the links that lead to files here."""
    for target in _LINK.findall(_FENCED.sub("", page.read_text())):
        if "://" not in target:
            yield page.parent / target


def paths(page: Path) -> list[str]:
    """The project's files that code spans name."""
    spans = _SPAN.findall(_FENCED.sub("", page.read_text()))
    return [span for span in spans if _PATH.fullmatch(span)]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # prose with an apostrophe
        return []
