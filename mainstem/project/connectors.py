"""Finds a connector by its name, and makes it of the settings that a project's file gives it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from mainstem.errors import FUNCTION_FAILED, UNKNOWN_CONNECTOR
from mainstem.project import imports
from mainstem.project.clear_text import secrets_in_clear
from mainstem.project.document import Document, Region
from mainstem.project.findings import Finding, Place, ProjectError, did_you_mean, error, listed
from mainstem.project.interpolate import References
from mainstem.project.model import StepSpec
from mainstem.project.paths import anchor
from mainstem.project.validation import validate
from mainstem.sdk.settings import Settings
from mainstem.sdk.sink import Sink, TransactionalSink
from mainstem.sdk.source import PushSource, Source

Role = Literal["source", "sink"]

_ROLES: dict[Role, tuple[type[Settings], ...]] = {"source": (Source, PushSource), "sink": (Sink, TransactionalSink)}


@dataclass(frozen=True, slots=True)
class Built:
    """A connector made of its settings, or all that is wrong with them."""

    connector: Settings | None
    findings: list[Finding]


def connector_class(folder: Path, name: str, role: Role, place: Place) -> type[Settings]:
    """The one public class of `connectors.<name>` for that role. Raises ProjectError at `place`."""
    module = imports.load_module(folder, "connectors", name, place)
    if module is None:
        known = imports.available(folder, "connectors")
        message = f"no connector is called `{name}`{did_you_mean(name, known)}"
        fix = f"use one of {listed(known)}, or add connectors/{name}/"
        raise ProjectError(error(place, message, fix=fix, code=UNKNOWN_CONNECTOR))
    found = _public_classes(module, role)
    complete = [kind for kind in found if not inspect.isabstract(kind)]
    if len(complete) == 1:
        return complete[0]
    raise ProjectError(error(place, *_no_single_class(name, role, complete, found), code=UNKNOWN_CONNECTOR))


def build(folder: Path, references: References, spec: StepSpec, role: Role) -> Built:
    """The connector that the step names, made of its settings. Raises ProjectError where there is no such connector."""
    region = spec.region or _nowhere(spec)
    kind = connector_class(folder, spec.connector, role, region.at("connector"))
    inside = region.within("settings")
    resolved = references.resolve(dict(spec.settings), inside)
    data = anchor(kind, resolved.value, folder)
    findings = [*resolved.findings, *secrets_in_clear(kind, dict(spec.settings), inside)]
    try:
        connector, wrong = validate(kind, data, inside, pending=resolved.pending)
    except Exception as failure:  # noqa: BLE001 - a connector's validator is code of its author; its message may quote a secret
        return Built(None, [*findings, _validator_failed(folder, spec, failure, inside.at())])
    return Built(connector if not resolved.pending else None, [*findings, *wrong])


def _validator_failed(folder: Path, spec: StepSpec, failure: Exception, place: Place) -> Finding:
    where = imports.where_raised(folder, failure)
    seen = f" at {where}" if where else ""
    message = (
        f"the connector `{spec.connector}` failed with {type(failure).__name__}{seen} while it checked its settings"
    )
    return error(place, message, fix="mend the connector", code=FUNCTION_FAILED)


def _public_classes(module: ModuleType, role: Role) -> list[type[Settings]]:
    """Those that the connector itself defines, by order of name: what it imports is not its own."""
    own = f"{module.__name__}."
    return [
        kind
        for name, kind in sorted(vars(module).items())
        if not name.startswith("_")
        and isinstance(kind, type)
        and issubclass(kind, _ROLES[role])
        and f"{kind.__module__}.".startswith(own)
    ]


def _no_single_class(
    name: str, role: Role, complete: list[type[Settings]], found: list[type[Settings]]
) -> tuple[str, ...]:
    if complete:
        several = ", ".join(f"`{kind.__name__}`" for kind in complete)
        return (f"the connector `{name}` has more than one {role}: {several}",)
    if found:
        missing = ", ".join(f"`{method}`" for method in sorted(getattr(found[0], "__abstractmethods__", ())))
        return (f"`{found[0].__name__}` of the connector `{name}` lacks {missing}",)
    bases = " or ".join(kind.__name__ for kind in _ROLES[role])
    return (f"the connector `{name}` has no {role}: no public class of connectors/{name} is a {bases}",)


def _nowhere(spec: StepSpec) -> Region:
    """The region of a step that was made in Python: its settings as they are, without lines."""
    values = {loc: (0, 0) for loc, _ in _locs(dict(spec.settings))}
    return Region(Document(f"{spec.integration}.{spec.name}", {}, values, {}))


def _locs(data: Any, loc: tuple[str | int, ...] = ("settings",)) -> list[tuple[tuple[str | int, ...], Any]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [(loc, data), *(pair for step, inner in items for pair in _locs(inner, (*loc, step)))]
