"""A project folder whose Kafka is not there, and a runner for its commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mainstem.cli import dlq, group, record, replay, topic

PROJECT = """\
project: shop
kafka: {bootstrap: "127.0.0.1:1"}
registry: {url: "http://127.0.0.1:1"}
"""
INTEGRATION = """\
integration: payments-to-accounting
owner: finance
sinks:
  - name: journal
    connector: postgres
    topics: [payments.payment_settled.v1]
    settings: {dsn: "${secret:nowhere}", table: journal_line}
"""
SCHEMA = {
    "type": "record",
    "namespace": "payments",
    "name": "payment_settled",
    "fields": [{"name": "a", "type": "int"}],
}

Run = Callable[..., Result]


def commands() -> typer.Typer:
    """The commands as the main program mounts them."""
    app = typer.Typer()
    for name, module in (("dlq", dlq), ("replay", replay), ("topic", topic), ("group", group), ("record", record)):
        app.add_typer(module.app, name=name)
    return app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "integrations").mkdir()
    (tmp_path / "schemas" / "payments").mkdir(parents=True)
    (tmp_path / "mainstem.yaml").write_text(PROJECT)
    (tmp_path / "integrations" / "payments-to-accounting.yaml").write_text(INTEGRATION)
    (tmp_path / "schemas" / "payments" / "payment_settled.v1.avsc").write_text(json.dumps(SCHEMA))
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    def running(*arguments: str, project: Path = folder) -> Result:
        line: Sequence[str] = [*arguments, "--project", str(project)]
        return CliRunner().invoke(commands(), line)

    return running
