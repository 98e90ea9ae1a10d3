"""Personal fields survive an edit unseen."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.cli.dlq.hidden import Hidden
from mainstem.errors import Rejected

PII = {"mainstem.tags": ["pii"]}
PERSON = {
    "type": "record",
    "name": "person",
    "fields": [{"name": "name", "type": "string", **PII}, {"name": "age", "type": "int"}],
}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "household", "type": ["null", "string"], **PII},
        {"name": "note", "type": "string", **PII},
        {"name": "buyer", "type": PERSON},
        {"name": "others", "type": {"type": "array", "items": "person"}},
        {"name": "by_role", "type": {"type": "map", "values": "person"}},
    ],
}
ORDER: dict[str, Any] = {
    "id": "o1",
    "household": "Miller",
    "note": "ring twice",
    "buyer": {"name": "Ann", "age": 30},
    "others": [{"name": "Bob", "age": 8}, {"name": "Cy", "age": 6}],
    "by_role": {"payer": {"name": "Dan", "age": 40}},
}


def hidden() -> tuple[Hidden, dict[str, Any]]:
    made = Hidden([SCHEMA])
    return made, made.hide(ORDER)


def test_no_personal_value_is_shown_and_the_others_are() -> None:
    _, shown = hidden()

    assert shown == {
        "id": "o1",
        "household": "***",
        "note": "***",
        "buyer": {"name": "***", "age": 30},
        "others": [{"name": "***1", "age": 8}, {"name": "***2", "age": 6}],
        "by_role": {"payer": {"name": "***3", "age": 40}},
    }


def test_what_is_left_as_it_is_comes_back_as_it_was() -> None:
    made, shown = hidden()

    assert made.restore(shown) == ORDER
    assert made.restore({**shown, "id": "o2"}) == {**ORDER, "id": "o2"}


def test_items_keep_their_own_value_when_they_are_moved_or_taken_out() -> None:
    made, shown = hidden()

    restored = made.restore({**shown, "others": list(reversed(shown["others"]))})
    shorter = made.restore({**shown, "others": shown["others"][1:]})

    assert restored["others"] == [{"name": "Cy", "age": 6}, {"name": "Bob", "age": 8}]
    assert shorter["others"] == [{"name": "Cy", "age": 6}]


def test_a_new_value_takes_the_place_of_a_hidden_one() -> None:
    made, shown = hidden()

    restored = made.restore({**shown, "household": "Smith", "note": None})

    assert (restored["household"], restored["note"]) == ("Smith", None)


@pytest.mark.parametrize(
    "change",
    [{"id": "***"}, {"others": [{"name": "***", "age": 1}]}, {"others": [{"name": "***9", "age": 1}]}],
)
def test_a_mark_where_nothing_is_hidden_is_refused(change: dict[str, Any]) -> None:
    """One that was copied from `dlq show` could otherwise bring another person's value."""
    made, shown = hidden()

    with pytest.raises(Rejected, match="stands for no value"):
        made.restore({**shown, **change})


def test_a_tag_in_any_of_the_schemas_hides() -> None:
    untagged = {"type": "record", "name": "order", "fields": [{"name": "id", "type": "string"}]}
    tagged = {"type": "record", "name": "order", "fields": [{"name": "id", "type": "string", **PII}]}
    for definitions in ([untagged, tagged], [tagged, untagged], [tagged, tagged]):
        made = Hidden(definitions)
        assert made.hide({"id": "secret"}) == {"id": "***"}
        assert made.restore({"id": "***"}) == {"id": "secret"}


def test_a_missing_value_is_shown_as_missing() -> None:
    made = Hidden([SCHEMA])
    assert made.hide({**ORDER, "household": None})["household"] is None
