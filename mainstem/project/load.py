"""Reads a project folder into one checked model. No code of the user runs here: `discover` imports that when asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mainstem.errors import MISSING_SECRET, STACK_NOT_RUNNING
from mainstem.project.clashes import clashes
from mainstem.project.clear_text import secrets_in_clear
from mainstem.project.document import Document, Region
from mainstem.project.findings import Finding, Place, ProjectError, Severity, error, warning
from mainstem.project.interpolate import References
from mainstem.project.layers import laid_over
from mainstem.project.model import Integration, Project, ProjectFile, SchemaFile
from mainstem.project.paths import anchor
from mainstem.project.schemas import read_schemas
from mainstem.project.secrets import SecretSettings, SecretStore
from mainstem.project.stack import Stack
from mainstem.project.validation import validate
from mainstem.project.yaml import read

PROJECT_FILE = "mainstem.yaml"
_NO_FLAGS: Mapping[str, str] = {}


@dataclass(slots=True)
class Contents:
    """All that a project folder holds, as far as it could be read, and all that is wrong with it."""

    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    references: References
    file: ProjectFile | None = None
    document: Document | None = None
    """mainstem.yaml with flags, environment and defaults laid over it, references as written."""
    integrations: list[Integration] = field(default_factory=list)
    schemas: dict[str, SchemaFile] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def load(
    folder: Path,
    *,
    flags: Mapping[str, str] = _NO_FLAGS,
    environ: Mapping[str, str] | None = None,
    offline: bool = False,
) -> Project:
    """The project in that folder.

    `flags` override single values (`{"kafka.bootstrap": "..."}`). With `offline`, a development stack that does not run
    and secrets of Kafka and registry that are not set do no harm: addresses then lead nowhere. Raises ProjectError, a
    Misconfigured with file, line and column, for the first thing that is wrong. What needs code or secrets of
    connectors is checked when `discover` builds them, and all of it together by `lint`.
    """
    contents = read_project(folder, flags=flags, environ=environ)
    errors = [finding for finding in contents.findings if finding.severity is Severity.ERROR]
    for finding in sorted(errors, key=_is_outside):
        if not (offline and _is_outside(finding)):
            raise ProjectError(finding)
    file = contents.file
    if file is None:  # a placeholder stands where it does not even fit
        raise ProjectError(contents.findings[0])
    project = Project(
        folder=contents.folder,
        name=file.project,
        kafka=file.kafka,
        registry=file.registry,
        gateway=file.gateway,
        secrets=file.secrets,
        defaults=file.defaults,
        integrations=tuple(contents.integrations),
        schemas=contents.schemas,
    )
    project._environ = contents.environ
    return project


def _is_outside(finding: Finding) -> bool:
    """Whether something is missing that is not in the project's files; what is wrong in them is said first."""
    return finding.code in (MISSING_SECRET, STACK_NOT_RUNNING)


def read_project(
    folder: Path, *, flags: Mapping[str, str] = _NO_FLAGS, environ: Mapping[str, str] | None = None
) -> Contents:
    """Reads everything that is not code; never raises for what is wrong in the folder."""
    folder, environ = folder.resolve(), os.environ if environ is None else environ
    default = SecretSettings()
    secrets = default.model_copy(update={"folder": folder / default.folder})
    contents = Contents(folder, environ, _references(folder, environ, secrets))
    _read_project_file(contents, flags)
    _read_integrations(contents)
    contents.schemas, wrong = read_schemas(folder)
    contents.findings += wrong
    contents.findings += clashes(contents.integrations, contents.schemas)
    return contents


def _references(folder: Path, environ: Mapping[str, str], secrets: SecretSettings) -> References:
    return References(environ, SecretStore(secrets, environ), Stack(folder))


def _read_project_file(contents: Contents, flags: Mapping[str, str]) -> None:
    path = contents.folder / PROJECT_FILE
    if not path.is_file():
        fix = "go to the project's folder, name it, or make one with `mainstem init`"
        contents.findings.append(error(Place(PROJECT_FILE), f"there is no project in {contents.folder}", fix=fix))
        return
    try:
        written = read(path, PROJECT_FILE)
    except ProjectError as wrong:
        contents.findings.append(wrong.finding)
        return
    contents.findings += secrets_in_clear(ProjectFile, written.data, Region(written))
    contents.document, wrong_layers = laid_over(written, flags, contents.environ)
    contents.findings += wrong_layers
    _look_for_secrets_as_told(contents, contents.document)
    region = Region(contents.document)
    resolved = contents.references.resolve(contents.document.data, region)
    data = anchor(ProjectFile, resolved.value, contents.folder)
    contents.file, wrong_shapes = validate(ProjectFile, data, region, pending=resolved.pending)
    contents.findings += [*wrong_shapes, *resolved.findings]


def _look_for_secrets_as_told(contents: Contents, document: Document) -> None:
    """Reads the section on secrets first: the others may refer to secrets. What is wrong in it is reported later."""
    section = document.data.get("secrets") if isinstance(document.data, dict) else None
    region = Region(document, ("secrets",))
    data = anchor(SecretSettings, contents.references.resolve(section or {}, region).value, contents.folder)
    settings, _ = validate(SecretSettings, data, region)
    if settings is not None:
        contents.references = _references(contents.folder, contents.environ, settings)


def _read_integrations(contents: Contents) -> None:
    for path in sorted((contents.folder / "integrations").glob("*.y*ml")):
        shown = path.relative_to(contents.folder).as_posix()
        if path.suffix != ".yaml":
            fix = f"rename it to {path.with_suffix('.yaml').name}"
            contents.findings.append(warning(Place(shown), "is not read: integrations end in .yaml", fix=fix))
            continue
        try:
            document = read(path, shown)
        except ProjectError as wrong:
            contents.findings.append(wrong.finding)
            continue
        resolved = contents.references.resolve(document.data, Region(document), as_written="settings")
        made, wrong_shapes = validate(Integration, resolved.value, Region(document), pending=resolved.pending)
        contents.findings += [*wrong_shapes, *resolved.findings]
        if made is not None:
            contents.integrations.append(made.read_from(document))
