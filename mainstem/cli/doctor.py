"""`mainstem doctor`: what this project needs, checked one by one, each with its fix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import typer

from mainstem.app.apply import find_changes
from mainstem.app.services import Services
from mainstem.cli.exit import PROBLEMS, reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_rows
from mainstem.errors import FUNCTION_FAILED, MainstemError, Misconfigured
from mainstem.observe.board import State
from mainstem.project.discover import build_sink, build_source, find_mapping, find_stream
from mainstem.project.findings import Severity
from mainstem.project.lint import lint
from mainstem.project.model import Project, SinkSpec, SourceSpec

COLUMNS = ("check", "ok", "cause", "fix")
GATEWAY_S = 3.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `cause` and `fix` are empty when it is as it should be."""

    check: str
    ok: bool
    cause: str = ""
    fix: str = ""
    code: str = ""


@reports_errors
def doctor(output: FormatOption = Format.TABLE, project: ProjectOption = HERE) -> None:
    """Checks files, Kafka, registry, topics, schemas, connectors, and the backbone if it runs. Exits 1 on problems."""
    checks = list(_checks(project))
    rows: list[dict[str, Any]] = [asdict(check) for check in checks]
    if output is Format.TABLE:
        for row in rows:
            row["ok"] = "ok" if row["ok"] else f"NOT OK {row['code']}"
    show_rows(rows, COLUMNS, output)
    bad = sum(not check.ok for check in checks)
    say(f"{len(checks)} checks, {bad} problems")
    if bad:
        raise typer.Exit(PROBLEMS)


def _checks(folder: Path) -> Iterator[Check]:
    findings = [finding for finding in lint(folder) if finding.severity is Severity.ERROR]
    for finding in findings:
        yield Check("project files", False, f"{finding.place}: {finding.message}", finding.fix, finding.code.number)
    if findings:
        return
    yield Check("project files", True)
    with open_services(folder) as services:
        kafka = _checked(f"Kafka at {services.project.kafka.bootstrap}", services.admin.topics)
        registry = _checked(f"registry at {services.registry.url}", services.registry.subjects)
        yield from (kafka, registry)
        if kafka.ok and registry.ok:
            yield _checked("topics and schemas", lambda: _nothing_missing(services))
        yield from _parts(services)
        yield from asyncio.run(_backbone(services))


def _parts(services: Services) -> Iterator[Check]:
    project = services.project
    for source in project.sources:
        name = f"source {source.integration}.{source.name}"
        yield _checked(name, partial(_look_at_source, project, source))
    for stream in project.streams:
        yield _checked(f"stream {stream}", partial(find_stream, project, stream))
    for sink in project.sinks:
        name = f"sink {sink.integration}.{sink.name}"
        yield _checked(name, partial(find_mapping, project, sink))
        yield _checked(f"{name}, target", partial(_look_at_target, project, sink))


def _look_at_source(project: Project, spec: SourceSpec) -> None:
    asyncio.run(build_source(project, spec).check())


def _look_at_target(project: Project, spec: SinkSpec) -> None:
    asyncio.run(build_sink(project, spec).check())


def _nothing_missing(services: Services) -> None:
    changes = find_changes(services)
    if not changes.is_empty:
        missing = [schema.subject for schema in changes.schemas] + [topic.name for topic in changes.topics]
        raise Misconfigured(f"missing: {', '.join(missing)}", fix="run `mainstem apply --execute`")


def _checked(name: str, look: Callable[[], Any]) -> Check:
    try:
        look()
    except MainstemError as error:
        return Check(name, False, error.cause, error.fix, error.code.number)
    except Exception as error:  # noqa: BLE001 - a connector's check may fail in any way: that is what it says
        return Check(name, False, f"{type(error).__name__}: {error}"[:300], FUNCTION_FAILED.fix, FUNCTION_FAILED.number)
    return Check(name, True)


async def _backbone(services: Services) -> list[Check]:
    """What a running backbone says of its parts; that none runs is no problem of the project's."""
    gateway = services.project.gateway
    url = f"http://{gateway.host}:{gateway.port}/readyz"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=GATEWAY_S)) as session,
            session.get(url) as reply,
        ):
            parts = (await reply.json())["parts"]
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
        return [
            Check(f"backbone at {gateway.host}:{gateway.port}", True, "not running here", "start it: `mainstem run`")
        ]
    return [
        Check(
            f"running: {name}",
            part["state"] == State.RUNNING,
            part.get("reason") or "",
            part.get("fix") or "",
            part.get("code") or "",
        )
        for name, part in parts.items()
    ]
