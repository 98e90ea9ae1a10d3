from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainstem.event import Origin
from mainstem.flow.window import Window

IDS = st.sampled_from("abcdef")


def at(offset: int, partition: int = 0) -> Origin:
    return Origin("t", partition, offset)


@given(st.lists(IDS, max_size=60), st.integers(1, 8))
def test_of_one_id_only_the_first_place_within_the_window_counts(ids: list[str], capacity: int) -> None:
    window = Window(capacity)
    kept: dict[str, int] = {}
    for offset, event_id in enumerate(ids):
        assert window.is_duplicate(event_id, at(offset)) == (event_id in kept)
        kept[event_id] = offset
        if len(kept) > capacity:
            kept.pop(min(kept, key=lambda known: kept[known]))
        assert len(window) <= capacity


@given(st.lists(IDS, max_size=60), st.data())
def test_reading_again_from_anywhere_judges_every_record_as_before(ids: list[str], data: st.DataObject) -> None:
    window = Window(len(ids) + 1)
    first = [window.is_duplicate(event_id, at(offset)) for offset, event_id in enumerate(ids)]
    start = data.draw(st.integers(0, len(ids)))
    again = [window.is_duplicate(event_id, at(offset)) for offset, event_id in enumerate(ids[start:], start)]
    assert again == first[start:]


@given(st.lists(IDS, min_size=1, max_size=40), st.data())
def test_a_window_that_begins_in_the_middle_never_drops_the_only_copy(ids: list[str], data: st.DataObject) -> None:
    """A worker that met the later copy first, and is then given the earlier one, keeps the earlier one."""
    window = Window(100)
    start = data.draw(st.integers(0, len(ids) - 1))
    for offset, event_id in enumerate(ids[start:], start):
        window.is_duplicate(event_id, at(offset))
    judged = {offset: window.is_duplicate(event_id, at(offset)) for offset, event_id in enumerate(ids)}
    for event_id in set(ids):
        first, *later = [judged[offset] for offset, each in enumerate(ids) if each == event_id]
        assert not first
        assert all(later)


def test_another_partition_is_another_place() -> None:
    window = Window(10)
    assert not window.is_duplicate("a", at(5))
    assert window.is_duplicate("a", at(1, partition=1))
