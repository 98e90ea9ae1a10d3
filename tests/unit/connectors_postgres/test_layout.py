from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.layout import GROUP, PLACE, lay_out
from mainstem import Event, Mapped


def event(*rows: Mapping[str, Any]) -> Mapped:
    return Mapped(Event(id="e"), rows)


def test_no_rows_are_no_layout() -> None:
    assert lay_out([event(), event()], key=(), replacing=False) is None


def test_appended_rows_are_their_cells_and_nothing_else() -> None:
    laid = lay_out([event({"a": 1, "b": 2}), event({"b": 4, "a": 3})], key=(), replacing=False)
    assert laid == (("a", "b"), [(1, 2), (3, 4)], (("a", "b"),))


def test_one_column_is_a_tuple_too() -> None:
    laid = lay_out([event({"a": "text"})], key=(), replacing=False)
    assert laid == (("a",), [("text",)], (("a",),))


def test_the_place_is_the_rows_when_updating_and_the_events_when_replacing() -> None:
    records = [event({"a": 1}, {"a": 2}), event(), event({"a": 3})]
    updating = lay_out(records, key=("a",), replacing=False)
    replacing = lay_out(records, key=("a",), replacing=True)
    assert updating == ((PLACE, "a"), [(0, 1), (1, 2), (2, 3)], (("a",),))
    assert replacing == ((PLACE, "a"), [(0, 1), (0, 2), (2, 3)], (("a",),))


def test_rows_of_one_shape_share_a_group_in_whatever_order_they_come() -> None:
    records = [event({"a": 1}), event({"a": 2, "b": 2}), event({"a": 3})]
    laid = lay_out(records, key=("a",), replacing=False)
    assert laid == (
        (GROUP, PLACE, "a", "b"),
        [(0, 0, 1, None), (1, 1, 2, 2), (0, 2, 3, None)],
        (("a",), ("a", "b")),
    )


def test_a_key_that_changes_its_shape_and_back_opens_a_new_group() -> None:
    records = [event({"a": 1}), event({"a": 1, "b": 2}), event({"a": 1})]
    laid = lay_out(records, key=("a",), replacing=False)
    assert laid is not None
    assert laid.groups == (("a",), ("a", "b"), ("a",))


rows = st.lists(
    st.fixed_dictionaries({"k": st.integers(0, 3)}, optional={"a": st.integers(0, 9), "b": st.integers(0, 9)}),
    min_size=1,
    max_size=30,
)


@given(rows)
def test_merging_the_groups_in_order_is_writing_the_rows_in_order(rows: list[dict[str, int]]) -> None:
    laid = lay_out([event(row) for row in rows], key=("k",), replacing=False)
    assert laid is not None
    expected: dict[int, dict[str, int]] = {}
    for row in rows:
        expected.setdefault(row["k"], {}).update(row)
    merged: dict[int, dict[str, Any]] = {}
    for number, columns in enumerate(laid.groups):
        for line in laid.lines:
            cells = dict(zip(laid.columns, line, strict=True))
            if cells.get(GROUP, 0) == number:  # a group's rows are of one shape: its last row of a key has it all
                merged.setdefault(cells["k"], {}).update({name: cells[name] for name in columns})
    assert merged == expected
