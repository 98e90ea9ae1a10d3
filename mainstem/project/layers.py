"""mainstem.yaml with what is laid over it: a flag beats the environment, that beats the file, that beats a default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from mainstem.project import shape, yaml
from mainstem.project.document import Document, Loc
from mainstem.project.findings import Finding, Place, ProjectError, did_you_mean, error, listed, warning
from mainstem.project.model import ProjectFile

PREFIX = "MAINSTEM_"
DEFAULT = "default"

REQUIRED_WITH_DEFAULT: dict[tuple[str, str], str] = {
    ("kafka", "bootstrap"): "${stack:bootstrap}",
    ("registry", "url"): "${stack:registry_url}",
}


def variable(loc: Loc) -> str:
    """The environment variable that overrides the value there: `MAINSTEM_KAFKA__BOOTSTRAP`."""
    return PREFIX + "__".join(str(step).upper() for step in loc)


def laid_over(
    document: Document, flags: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[Document, list[Finding]]:
    """The document with flags (`kafka.bootstrap`), variables and needed defaults in it; findings for unknown ones."""
    top = replace(document, data=deepcopy(document.data), elsewhere=dict(document.elsewhere))
    if not isinstance(top.data, dict):
        return top, []
    findings: list[Finding] = []
    for name, text in sorted(environ.items()):
        if (loc := _loc_of_variable(name)) is not None:
            findings += _override(top, loc, text, f"{name} (environment)")
    for name, text in flags.items():
        findings += _override(top, tuple(name.split(".")), text, f"{name} (flag)")
    for loc, text in REQUIRED_WITH_DEFAULT.items():
        if _reachable(top.data, loc) and top.get(loc) is None:
            _put(top, loc, text, DEFAULT)
    return top, findings


def _loc_of_variable(name: str) -> Loc | None:
    if not name.startswith(PREFIX) or "__" not in name or name.startswith("MAINSTEM_SECRET_"):
        return None
    return tuple(name.removeprefix(PREFIX).lower().split("__"))


def _override(top: Document, loc: Loc, text: str, origin: str) -> Iterator[Finding]:
    holder: Any = ProjectFile
    for depth, step in enumerate(loc):
        model = shape.model_at(holder, ())
        known = shape.keys(model) if model else {}
        if step not in known:
            yield _unknown(loc, depth, known, origin)
            return
        holder = known[str(step)].annotation
    if not _reachable(top.data, loc):
        return  # the file has something else than a mapping there, and that is reported
    try:
        value = yaml.parse(text, origin).data if text.startswith(("[", "{")) or text == "null" else text
    except ProjectError as wrong:
        yield error(Place(origin), wrong.finding.message, fix="write a list or mapping as JSON")
        return
    _put(top, loc, value, origin)


def _unknown(loc: Loc, depth: int, known: Mapping[str, Any], origin: str) -> Finding:
    near = did_you_mean(str(loc[depth]), known)
    inside = f" in {'.'.join(map(str, loc[:depth]))}" if depth else ""
    message = f"there is no setting `{loc[depth]}`{inside}{near}"
    fix = f"the settings here are {listed(known)}"
    if depth == 0 and "environment" in origin:  # another program may have variables that look like ours
        return warning(Place(origin), message, fix=fix)
    return error(Place(origin), message, fix=fix)


def _reachable(data: Any, loc: Loc) -> bool:
    for step in loc[:-1]:
        if not isinstance(data, dict):
            return False
        if (data := data.get(step)) is None:
            return True
    return isinstance(data, dict)


def _put(top: Document, loc: Loc, value: Any, origin: str) -> None:
    holder = top.data
    for step in loc[:-1]:
        if holder.get(step) is None:
            holder[step] = {}
        holder = holder[step]
    holder[loc[-1]] = value
    for length in range(1, len(loc)):
        if loc[:length] not in top.values:
            top.elsewhere.setdefault(loc[:length], origin)
    top.elsewhere[loc] = origin
