"""How often a worker's garbage collector looks."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mainstem.process.librdkafka.collector import OLDER, look_less


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_it_looks_less_and_not_again_at_what_there_was() -> None:
    frozen = gc.get_freeze_count()
    look_less(5000)
    assert gc.get_threshold() == (5000, *OLDER)
    assert gc.get_freeze_count() > frozen


@pytest.mark.parametrize("young_objects", [0, 700])
def test_it_is_left_alone_where_nobody_asks_or_it_looks_as_rarely(young_objects: int) -> None:
    look_less(young_objects)
    assert gc.get_threshold() == (700, 10, 10)


def test_what_is_in_a_ring_is_still_found() -> None:
    class Ring:
        me: object

    look_less(5000)
    ring = Ring()
    ring.me = ring
    del ring
    assert gc.collect() >= 1
