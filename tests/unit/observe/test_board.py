from __future__ import annotations

import json

import pytest

from mainstem import Misconfigured, Unreachable
from mainstem.observe import board as observed
from mainstem.observe.board import READY, Board, State

DOWN = Unreachable("the database does not answer")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The last one is now."""
    ticks = [100.0]
    monkeypatch.setattr(observed, "time", lambda: ticks[-1])
    return ticks


def test_a_part_says_why_it_does_not_run() -> None:
    board = Board()
    board.report("sink", State.PAUSED, Misconfigured("no such table", fix="create it"))
    status = board.parts()["sink"]
    assert (status.state, status.reason, status.code, status.fix) == (
        State.PAUSED,
        "no such table",
        "MS-200",
        "create it",
    )


def test_only_what_is_new_is_news(clock: list[float]) -> None:
    board = Board()
    assert board.report("sink", State.WAITING, DOWN)
    clock.append(105.0)
    assert not board.report("sink", State.WAITING, DOWN)
    assert board.parts()["sink"].since == 100.0
    assert board.report("sink", State.WAITING, Unreachable("it resets the connection"))
    assert board.report("sink", State.PAUSED, Unreachable("it resets the connection"))


def test_progress_makes_a_part_run_and_clears_the_reason(clock: list[float]) -> None:
    board = Board()
    board.report("sink", State.WAITING, DOWN)
    clock.append(110.0)
    board.progress("sink")
    clock.append(120.0)
    board.progress("sink")
    status = board.parts()["sink"]
    assert (status.state, status.reason, status.since, status.progress_at) == (State.RUNNING, None, 110.0, 120.0)
    clock.append(130.0)
    board.report("sink", State.WAITING, DOWN)
    assert (board.parts()["sink"].since, board.parts()["sink"].progress_at) == (130.0, 120.0)


@pytest.mark.parametrize("state", [state for state in State if state not in READY])
def test_one_part_that_does_not_run_makes_the_whole_unready(state: State) -> None:
    board = Board()
    assert not board.is_ready()
    board.progress("stream")
    assert board.is_ready()
    board.report("sink", state)
    assert not board.is_ready()
    board.progress("sink")
    assert board.is_ready()


def test_a_part_whose_work_another_worker_does_is_ready() -> None:
    board = Board()
    board.report("sink", State.STANDBY)
    assert board.is_ready()


def test_what_a_child_says_of_its_parts_is_taken_over_as_it_came_through_json() -> None:
    child, parent = Board(), Board()
    child.report("stream", State.PAUSED, Misconfigured("a bug"))
    parent.progress("sink")
    parent.adopt(json.loads(json.dumps(child.as_json())))
    assert parent.parts()["stream"] == child.parts()["stream"]
    assert not parent.is_ready()
    child.progress("stream")
    parent.adopt(child.as_json())
    assert parent.is_ready()
    assert list(parent.as_json()) == ["sink", "stream"]


def test_the_parts_are_a_copy() -> None:
    board = Board()
    board.parts()["sink"] = None  # type: ignore[assignment]
    assert board.parts() == {}
