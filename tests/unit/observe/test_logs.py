"""Log lines are JSON objects, one a line, and what an unexpected error says of a payload is not in them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from mainstem.app.keep import keep_running
from mainstem.observe import logs
from mainstem.observe.board import Board, State
from mainstem.observe.bug import traceback_of

CANARY = "canary-4711"


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def configure(level: str) -> None:
        monkeypatch.setenv(logs.LEVEL, level)
        logs.configure()

    yield configure
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_one_json_object_on_stderr(
    configured: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured("info")
    logs.logger("mainstem.t").bind(integration="books").warning("dead letter", event_id="e1\n", trace="00-1")
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "dead letter",
        "level": "warning",
        "integration": "books",
        "event_id": "e1\n",
        "trace": "00-1",
    }


def test_what_is_below_the_level_is_not_said(
    configured: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured("warning")
    logs.logger().info("not said")
    logs.logger().error("said")
    assert [line["event"] for line in lines(capsys)] == ["said"]


def test_a_level_that_there_is_not_counts_as_info(
    configured: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured("loud")
    logs.logger().debug("not said")
    logs.logger().info("said")
    assert [line["event"] for line in lines(capsys)] == ["said"]


@pytest.mark.parametrize("bug", [ValueError(CANARY), KeyError(CANARY), RuntimeError(f"row {CANARY}"), OSError(CANARY)])
def test_an_unexpected_error_is_told_by_its_class_and_place_without_its_values(bug: Exception) -> None:
    def fails() -> None:
        raise bug

    with pytest.raises(type(bug)):
        fails()
    said = traceback_of(bug)
    assert CANARY not in said
    assert said.endswith(type(bug).__name__)
    assert "in fails" in said


def test_an_error_that_names_code_says_what_is_wrong() -> None:
    assert traceback_of(AttributeError("no attribute 'datta'")) == "AttributeError: no attribute 'datta'"


async def test_a_part_that_fails_unexpectedly_is_told_of_without_the_values_it_quotes(
    configured: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured("info")
    board, stop = Board(), asyncio.Event()

    async def fails() -> None:
        stop.set()
        raise ValueError(CANARY)

    await keep_running("books.journal", fails, board, stop)
    status = board.parts()["books.journal"]
    assert (status.state, status.reason) == (State.PAUSED, "books.journal failed with ValueError")
    (line,) = lines(capsys)
    assert "in fails" in line["traceback"]
    assert CANARY not in json.dumps(line)
