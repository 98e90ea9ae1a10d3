"""YAML 1.2 read as plain data, with the place of every key and value.

ruamel.yaml scans and parses; the data is built here, from its events, so that no tag can construct anything, nothing
recurses, and depth, size and the expansion of aliases are bounded. Scalars follow the core schema of YAML 1.2: `on`
and `yes` are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from mainstem.project import scalars
from mainstem.project.document import Document, Loc
from mainstem.project.findings import Place, ProjectError, error
from mainstem.project.scalars import Scalar

MAX_BYTES = 262_144
MAX_DEPTH = 32
MAX_NODES = 20_000
"""Keys and values in one file, each use of an alias counted in full."""

_CORE = "tag:yaml.org,2002:"
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
"""What the parser quotes from the file: it may be part of a secret."""


def read(file: Path, shown: str) -> Document:
    """Reads a file; raises ProjectError with line and column."""
    try:
        size = file.stat().st_size
        raw = file.read_bytes() if size <= MAX_BYTES else b""
    except OSError as problem:
        raise ProjectError(error(Place(shown), f"cannot be read: {problem.strerror}")) from None
    if size > MAX_BYTES:
        raise ProjectError(error(Place(shown), f"has {size:,} bytes; mainstem reads {MAX_BYTES:,} of YAML"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise ProjectError(error(Place(shown, line, 1), "is not UTF-8", fix="save the file as UTF-8")) from None
    return parse(text, shown)


def parse(text: str, shown: str) -> Document:
    """Reads YAML text; raises ProjectError with line and column."""
    builder = _Builder(shown)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown, 1, 1)
        text = _QUOTED.sub(_unless_harmless, problem.problem or problem.context or "")
        raise ProjectError(error(place, f"not YAML: {text}")) from None
    except YAMLError:
        raise ProjectError(error(_first_unprintable(text, shown), "not YAML: a control character")) from None
    except (ValueError, OverflowError):  # ruamel raises them bare for an escape beyond Unicode
        raise ProjectError(error(Place(shown, *builder.last), "not YAML: an escape that is no letter")) from None
    return Document(shown, builder.root, builder.values, builder.keys)


def _unless_harmless(quoted: re.Match[str]) -> str:
    text = quoted[1] or quoted[2] or ""
    return quoted[0] if len(text) == 1 or text.startswith(("\\", "<")) else "..."


def _first_unprintable(text: str, shown: str) -> Place:
    for number, line in enumerate(text.splitlines(), start=1):
        for column, letter in enumerate(line, start=1):
            if not letter.isprintable() and letter != "\t":
                return Place(shown, number, column)
    return Place(shown, 1, 1)


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not come yet."""

    made: dict[str, Any] | list[Any]
    loc: Loc
    anchor: str | None
    key: str | None = None


class _Builder:
    """Makes plain data of parse events."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.root: Any = None
        self.values: dict[Loc, tuple[int, int]] = {}
        self.keys: dict[Loc, tuple[int, int]] = {}
        self.last = (1, 1)
        self._open: list[_Open] = []
        self._anchors: dict[str, Any] = {}
        self._documents = 0

    def take(self, event: Event) -> None:
        if event.start_mark.index < event.end_mark.index or not isinstance(event, ScalarEvent):
            self.last = (event.start_mark.line + 1, event.start_mark.column + 1)  # nothing at all is where its key is
        match event:
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse("a second document in one file", "keep one document in a file")
            case MappingStartEvent():
                self._begin(event, {})
            case SequenceStartEvent():
                self._begin(event, [])
            case MappingEndEvent() | SequenceEndEvent():
                self._end()
            case ScalarEvent() if self._awaits_key():
                self._key(event)
            case ScalarEvent():
                self._remember(event.anchor, self._place(self._scalar(event)))
            case AliasEvent():
                self._alias(event)

    def _refuse(self, message: str, fix: str | None = None) -> NoReturn:
        raise ProjectError(error(Place(self.shown, *self.last), message, fix=fix))

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].made, dict) and self._open[-1].key is None

    def _begin(self, event: MappingStartEvent | SequenceStartEvent, made: dict[str, Any] | list[Any]) -> None:
        if self._awaits_key():
            self._refuse("a key must be plain text")
        if len(self._open) == MAX_DEPTH:
            self._refuse(f"nested more than {MAX_DEPTH} deep")
        kind = "map" if isinstance(made, dict) else "seq"
        if event.tag not in (None, "!", _CORE + kind):
            self._refuse(f"the tag {_shown_tag(event.tag)} is not allowed", "write the value without a tag")
        loc = self._next_loc()
        self._place(made)
        self._open.append(_Open(made, loc, event.anchor))

    def _end(self) -> None:
        ended = self._open.pop()
        self._remember(ended.anchor, ended.made)

    def _next_loc(self) -> Loc:
        if not self._open:
            return ()
        around = self._open[-1]
        if isinstance(around.made, list):
            return (*around.loc, len(around.made))
        return (*around.loc, around.key or "")

    def _place(self, value: Any) -> Any:
        loc = self._next_loc()
        self._count(loc)
        if not self._open:
            self.root = value
            return value
        around = self._open[-1]
        if isinstance(around.made, list):
            around.made.append(value)
        else:
            around.made[around.key or ""] = value
            around.key = None
        return value

    def _count(self, loc: Loc) -> None:
        if len(self.values) == MAX_NODES:
            self._refuse(f"more than {MAX_NODES:,} values, those of aliases included")
        self.values[loc] = self.last

    def _key(self, event: ScalarEvent) -> None:
        around = self._open[-1]
        name = str(event.value)
        if event.tag not in (None, "!", _CORE + "str"):
            self._refuse(f"the tag {_shown_tag(event.tag)} is not allowed", "write the key without a tag")
        if name == "<<":
            self._refuse("merge keys (`<<`) are not part of YAML 1.2", "write the keys out")
        if isinstance(around.made, dict) and name in around.made:
            first = self.keys[(*around.loc, name)][0]
            self._refuse(f"the key `{name}` is here twice; the first is on line {first}", "keep one of them")
        around.key = name
        self.keys[(*around.loc, name)] = self.last
        self._remember(event.anchor, name)

    def _remember(self, anchor: str | None, value: Any) -> None:
        if anchor is not None:
            self._anchors[anchor] = value

    def _alias(self, event: AliasEvent) -> None:
        if self._awaits_key():
            self._refuse("a key must be plain text")
        if event.anchor not in self._anchors:  # an anchor still open is not there either: nothing contains itself
            self._refuse("an alias (`*`) without its anchor before it", "put the value in quotes if it is text")
        value, loc = self._anchors[event.anchor], self._next_loc()
        inner = list(islice(_inner_locs(value, loc), MAX_NODES))
        if any(len(step) > MAX_DEPTH for step in inner):
            self._refuse(f"nested more than {MAX_DEPTH} deep")
        self._place(deepcopy(value))
        for step in inner:
            self._count(step)

    def _scalar(self, event: ScalarEvent) -> Scalar:
        text, kind = str(event.value), (event.tag or "").removeprefix(_CORE)
        quoted = not event.implicit[0]
        if kind in ("str", "!") or (not kind and quoted):
            return text
        if kind not in ("", "int", "float", "bool", "null"):
            self._refuse(f"the tag {_shown_tag(event.tag)} is not allowed", "write the value without a tag")
        try:
            return scalars.tagged(text, kind) if kind else scalars.plain(text)
        except ValueError as problem:
            self._refuse(str(problem), "put it in quotes if it is text")


def _inner_locs(value: Any, loc: Loc) -> Iterator[Loc]:
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for step, inner in items:
        yield (*loc, step)
        yield from _inner_locs(inner, (*loc, step))


def _shown_tag(tag: str | None) -> str:
    """YAML's own tags by name. Others are not quoted: a password that begins with `!` reads as one."""
    return "!!" + tag.removeprefix(_CORE) if tag and tag.startswith(_CORE) else "`!...`"
