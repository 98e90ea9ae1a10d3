"""`mainstem lint`: everything that is wrong with the project's files, with line and column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from mainstem.cli.exit import USAGE, reports_errors
from mainstem.cli.opened import HERE, ProjectOption
from mainstem.cli.output import Format, FormatOption, say, show_rows
from mainstem.codec.guard import check_safe
from mainstem.errors import Misconfigured
from mainstem.project.findings import Finding, Severity
from mainstem.project.lint import lint as lint_project
from mainstem.project.load import load

COLUMNS = ("path", "line", "column", "severity", "code", "message", "fix")


@reports_errors
def lint(output: FormatOption = Format.TABLE, project: ProjectOption = HERE) -> None:
    """Checks every file of the project; needs no Kafka. Exits 2 when one of them keeps the project from running."""
    rows = [_row(finding) for finding in lint_project(project)]
    errors = sum(row["severity"] == Severity.ERROR for row in rows)
    if not errors:
        rows += _unsafe_schemas(project)
        errors = sum(row["severity"] == Severity.ERROR for row in rows)
    if output is Format.TABLE:
        for row in rows:
            typer.echo("{path}:{line}:{column}: {severity} {code}: {message} (fix: {fix})".format(**row))
    else:
        show_rows(rows, COLUMNS, output)
    say(f"{errors} errors, {len(rows) - errors} warnings" if rows else "no findings")
    if errors:
        raise typer.Exit(USAGE)


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "path": finding.path,
        "line": finding.line,
        "column": finding.column,
        "severity": finding.severity,
        "code": finding.code.number,
        "message": finding.message,
        "fix": finding.fix,
    }


def _unsafe_schemas(folder: Path) -> Iterator[dict[str, Any]]:
    for schema in load(folder, offline=True).schemas.values():
        try:
            check_safe(schema.definition, schema.topic)
        except Misconfigured as error:
            yield {
                "path": schema.path,
                "line": 1,
                "column": 1,
                "severity": Severity.ERROR,
                "code": error.code.number,
                "message": error.cause,
                "fix": error.fix,
            }
