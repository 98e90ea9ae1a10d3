from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.process.librdkafka.burden import Burden


@pytest.mark.parametrize(("events", "size", "is_full"), [(10, 0, True), (1, 1000, True), (9, 999, False)])
def test_it_is_full_by_events_or_by_bytes(events: int, size: int, is_full: bool) -> None:
    burden = Burden(10, 1000)
    burden.give(0, events, size)
    assert burden.is_full(0) is is_full


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2000))))
def test_what_is_finished_makes_room_for_as_much(given: list[tuple[int, int]]) -> None:
    burden = Burden(10, 1000)
    for events, size in given:
        burden.give(0, events, size)
    for events, size in given:
        burden.finish(events, size)
    assert not burden.is_full(0)
    burden.give(0, 9, 999)
    assert not burden.is_full(0)
    burden.give(0, 1, 0)
    assert burden.is_full(0)


def test_what_was_given_before_a_rollback_does_not_count() -> None:
    burden = Burden(10, 1000)
    burden.give(0, 10, 0)
    assert not burden.is_full(1)
    burden.give(1, 10, 0)
    assert burden.is_full(1)
