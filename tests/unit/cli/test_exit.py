"""How commands end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mainstem.cli.exit import reports_errors
from mainstem.errors import (
    Fenced,
    MainstemError,
    Misconfigured,
    Refused,
    Rejected,
    Retryable,
    Unreachable,
)

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Misconfigured("the table is missing"), 2),
        (Unreachable("nobody answers"), 3),
        (Retryable("later"), 3),
        (Refused("no"), 4),
        (Fenced("another one has it"), 4),
        (Rejected("this record"), 1),
    ],
)
def test_an_error_ends_a_command_with_the_code_of_its_kind(error: MainstemError, code: int) -> None:
    app = typer.Typer()

    @app.command()
    @reports_errors
    def fails() -> None:
        raise error

    result = CliRunner().invoke(app, [])

    assert result.exit_code == code
    assert result.stderr == f"error {error.code.number}: {error.cause}\nfix: {error.fix}\n"
    assert result.stdout == ""


def test_an_interrupt_ends_a_command_with_130() -> None:
    app = typer.Typer()

    @app.command()
    @reports_errors
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert CliRunner().invoke(app, []).exit_code == 130


def test_a_bug_keeps_its_traceback() -> None:
    app = typer.Typer()

    @app.command()
    @reports_errors
    def buggy() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(app, []).exception, ZeroDivisionError)


def test_a_folder_without_a_project_is_told_so(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    result = run("topic", "list", project=empty)

    assert result.exit_code == 2
    assert result.stderr.startswith("error MS-201: mainstem.yaml: there is no project in ")
    assert "fix: " in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("dlq", "redrive", "--execute"),
        ("dlq", "redrive", "--since", "yesterday"),
        ("dlq", "redrive", "--since", "2026-11-24T12:00:00"),
        ("replay", "plan", "payments-to-accounting.journal"),
        ("replay", "plan", "payments-to-accounting.journal", "--all", "--from", "-2h"),
        ("replay", "plan", "payments-to-accounting.journal", "--from", "-1h", "--to", "-2h"),
        ("replay", "plan", "payments-to-accounting.journal", "--from", "-1h", "--to", "t.x.v1:0:1"),
        ("replay", "plan", "payments-to-accounting.journal", "--from", "-1h", "--from", "t.x.v1:0:1"),
        ("replay", "plan", "payments-to-accounting.journal", "--from", "t.x.v1:0:1", "--event-time"),
        ("replay", "run", "payments-to-accounting.journal", "--all", "--plan", "abc"),
        ("replay", "run"),
        ("topic", "tail", "t.x.v1", "--from", "now"),
        ("topic", "list", "-o", "xml"),
    ],
)
def test_a_command_that_is_used_wrongly_ends_with_2_and_says_why(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert result.stdout == ""


def test_a_sink_that_there_is_not_is_told_with_the_one_that_was_meant(run: Run) -> None:
    result = run("replay", "plan", "payments-to-accounting.jurnal", "--from", "-2h")

    assert result.exit_code == 2
    assert result.stderr == (
        "error MS-200: the project has no sink `payments-to-accounting.jurnal`; "
        "did you mean `payments-to-accounting.journal`?\n"
        "fix: name one of: payments-to-accounting.journal\n"
    )


def test_a_stream_has_no_redrive(run: Run) -> None:
    result = run("dlq", "redrive", "settle_payments.dlq", "--all")

    assert result.exit_code == 2
    assert "no sink" in result.stderr


def test_a_missing_secret_ends_a_replay_before_it_begins(run: Run) -> None:
    result = run("replay", "plan", "payments-to-accounting.journal", "--all")

    assert result.exit_code == 2
    assert result.stderr.startswith("error MS-203: ")


@pytest.mark.parametrize("arguments", [("topic", "list"), ("dlq", "list"), ("group", "list")])
def test_a_broker_that_does_not_answer_ends_with_3(
    run: Run, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstem.kafka.topics.TIMEOUT_S", 0.3)

    result = run(*arguments)

    assert result.exit_code == 3
    assert result.stderr.startswith("error MS-301: ")
