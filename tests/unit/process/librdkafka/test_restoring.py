from __future__ import annotations

import pytest
from faust.types import TP

from mainstem.process.librdkafka.committed import Position
from mainstem.process.librdkafka.restoring import STALE_S, Progress, start

NOW_S = 1_000_000.0


def at(offset: int, topic: str = "t", age_s: float = 1.0) -> Position:
    return Position(offset, topic, NOW_S - age_s)


@pytest.mark.parametrize(
    ("position", "bounds", "begin"),
    [
        (at(4), (0, 10), 5),
        (at(9), (0, 10), 10),
        (at(4), (5, 10), 5),
        (at(-1), (0, 10), 0),
    ],
)
def test_it_is_read_on_behind_what_is_known(position: Position, bounds: tuple[int, int], begin: int) -> None:
    assert start(position, "t", bounds, NOW_S) == begin


@pytest.mark.parametrize(
    ("position", "bounds"),
    [
        pytest.param(None, (0, 10), id="nothing is known"),
        pytest.param(at(4, topic="another"), (0, 10), id="the changelog was made anew"),
        pytest.param(at(10), (0, 10), id="the changelog lost its end"),
        pytest.param(at(3), (5, 10), id="what follows is gone"),
        pytest.param(at(4, age_s=STALE_S + 1), (0, 10), id="marks of deleted keys may be gone"),
    ],
)
def test_what_may_be_wrong_is_read_anew(position: Position | None, bounds: tuple[int, int]) -> None:
    assert start(position, "t", bounds, NOW_S) is None


def test_progress_ends_when_every_part_is_at_its_end() -> None:
    one, two = TP("t", 0), TP("t", 1)
    progress = Progress({one: 5, two: 0}, {one: 10, two: 3})
    progress.reached(one, 8)
    assert progress
    progress.reached(one, 12)
    progress.reached(two, 3)
    progress.reached(two, 4)
    assert not progress
