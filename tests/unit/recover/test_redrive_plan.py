"""What a redrive takes, in which order, and what it leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.codec import headers as h
from mainstem.errors import MAPPING_FAILED, PARKED_BEHIND, Rejected
from mainstem.event import Origin
from mainstem.flow.dead_letter import ERROR_HEADERS, FIRST_FAILED_AT
from mainstem.flow.letter_status import DELIVERED, WAITING
from mainstem.recover.letters import LetterBox, project
from mainstem.recover.redrive import REDRIVE_CAP, plan, redriven_record
from mainstem.recover.selection import Selection
from tests.unit.recover.letters import AT, DLQ, TOPIC, FakeMessage, by_identity, letter, sold, status

REDRIVE = "shop.journal.redrive"
EVERYTHING = Selection(everything=True)
BEHIND = Rejected("an earlier record of its key waits", code=PARKED_BEHIND)


def box(*messages: FakeMessage, delivered: tuple[FakeMessage, ...] = ()) -> LetterBox:
    """Waiting letters of these messages, and delivered ones."""
    statuses = [status(m, WAITING) for m in messages] + [status(m, DELIVERED) for m in delivered]
    everyone = [*messages, *delivered]
    return project(DLQ, [letter(m, n) for n, m in enumerate(everyone)], by_identity(*statuses))


def ids(letters: object) -> list[str]:
    return [one.event_id for one in letters]  # type: ignore[attr-defined]


def test_whoever_selects_one_letter_takes_all_that_wait_on_its_key_oldest_first() -> None:
    found = box(sold(8, "late"), sold(3, "early"), sold(5, "other", key=b"x"))

    made = plan(found, Selection(event_ids=frozenset({"late"})))

    assert ids(made.letters) == ["early", "late"]
    assert (made.keys, made.companions) == (1, 1)


def test_a_delivered_letter_is_not_redriven_again() -> None:
    found = box(sold(8, "late"), delivered=(sold(3, "early"),))

    made = plan(found, EVERYTHING)

    assert ids(made.letters) == ["late"]
    assert ids(made.not_waiting) == ["early"]


def test_a_selection_that_names_nothing_takes_nothing() -> None:
    assert plan(box(sold(1, "a")), Selection()).letters == ()


def test_keys_without_order_are_redriven_alone() -> None:
    found = box(sold(1, "a", key=None), sold(2, "b", key=None))

    assert ids(plan(found, Selection(event_ids=frozenset({"b"}))).letters) == ["b"]


def test_a_letter_that_came_back_too_often_stays_with_everything_behind_it() -> None:
    tired = sold(2, "tired", more={h.REDRIVE_COUNT: str(REDRIVE_CAP).encode()})
    found = box(sold(1, "first"), tired, sold(3, "behind"), sold(4, "other", key=b"x"))

    made = plan(found, EVERYTHING)

    assert ids(made.letters) == ["first", "other"]
    assert [left.letter.event_id for left in made.left_out] == ["tired", "behind"]
    assert "--force" in made.left_out[0].reason
    assert ids(plan(found, EVERYTHING, force=True).letters) == ["first", "tired", "behind", "other"]


def test_what_waits_behind_a_record_whose_letter_is_gone_stays() -> None:
    gone, behind, other = sold(2, "gone"), sold(3, "behind"), sold(1, "before")
    statuses = by_identity(*(status(message, WAITING) for message in (gone, behind, other)))
    found = project(DLQ, [letter(behind, 0), letter(other, 1)], statuses)

    made = plan(found, EVERYTHING)

    assert ids(made.letters) == ["before"]
    assert f"{TOPIC}:0:2" in made.left_out[0].reason


def test_a_letter_without_a_sinks_account_is_not_redriven() -> None:
    made = plan(project(DLQ, [letter(sold(1, "a"), 0)], {}), EVERYTHING)

    assert (made.letters, ids(made.not_waiting)) == ((), ["a"])


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(codes=frozenset({"MS-106"})), ["b"]),
        (Selection(keys=frozenset({b"1"})), ["a"]),
        (Selection(event_ids=frozenset({"a", "b"})), ["a", "b"]),
        (Selection(since=AT + timedelta(minutes=1)), ["b"]),
        (Selection(until=AT + timedelta(minutes=1)), ["a"]),
        (Selection(codes=frozenset({"MS-106"}), keys=frozenset({b"1"})), []),
        (Selection(everything=True), ["a", "b"]),
    ],
)
def test_letters_are_selected_by_code_key_id_and_time(selection: Selection, expected: list[str]) -> None:
    a, b = sold(1, "a", key=b"1"), sold(2, "b", key=b"2")
    messages = [letter(a, 0), letter(b, 1, Rejected("no amount", code=MAPPING_FAILED), AT + timedelta(minutes=1))]
    found = project(DLQ, messages, by_identity(status(a, WAITING), status(b, WAITING)))

    assert ids(plan(found, selection).letters) == expected


def test_letters_are_selected_by_cause() -> None:
    a, b = sold(1, "a", key=b"1"), sold(2, "b", key=b"2")
    messages = [letter(a, 0), letter(b, 1, Rejected("no amount", code=MAPPING_FAILED))]
    found = project(DLQ, messages, by_identity(status(a, WAITING), status(b, WAITING)))

    assert ids(plan(found, Selection(causes=frozenset({found.letters[1].fault.cause}))).letters) == ["b"]


def test_the_hash_stands_for_the_letters_and_nothing_else() -> None:
    a, b = sold(1, "a"), sold(2, "b")

    assert plan(box(a, b), EVERYTHING).hash == plan(box(a, b), Selection(event_ids=frozenset({"a"}))).hash
    assert plan(box(a, b), EVERYTHING).hash != plan(box(a), EVERYTHING).hash


def test_a_redriven_record_is_the_original_with_its_origin_and_one_more_redrive() -> None:
    original = sold(7, "a", partition=2, more={"x-own": b"\x00\xff", h.TRACE: b"00-aa-bb-01"})
    (found,) = box(original).letters

    record = redriven_record(found, REDRIVE, "r1", {TOPIC: 3, REDRIVE: 3})

    assert (record.topic, record.key, record.value, record.partition) == (REDRIVE, b"k", b"a-value", 2)
    headers = h.as_dict(record.headers)
    assert ERROR_HEADERS & headers.keys() == {FIRST_FAILED_AT}, "should it fail again, it has waited since then"
    assert h.parse_time(headers.pop(FIRST_FAILED_AT)) == found.failed_at
    assert headers == {
        h.ID: b"a",
        "x-own": b"\x00\xff",
        h.TRACE: b"00-aa-bb-01",
        "mainstem_origin_topic": TOPIC.encode(),
        "mainstem_origin_partition": b"2",
        "mainstem_origin_offset": b"7",
        h.REDRIVE_ID: b"r1",
        h.REDRIVE_COUNT: b"1",
    }


def test_where_the_topics_have_other_numbers_of_partitions_the_key_decides() -> None:
    (found,) = box(sold(7, "a", partition=2)).letters

    assert redriven_record(found, REDRIVE, "r1", {TOPIC: 6, REDRIVE: 3}).partition == -1


def test_a_record_without_an_id_is_told_the_one_under_which_it_waits() -> None:
    (found,) = project(DLQ, [letter(FakeMessage(Origin(TOPIC, 0, 5)), 0)], {}).letters

    assert h.as_dict(redriven_record(found, REDRIVE, "r1", {REDRIVE: 1}).headers)[h.ID] == f"kafka:{TOPIC}:0:5".encode()


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["x", "y", "z"])), unique_by=lambda pair: pair[0]), st.data()
)
def test_a_plan_holds_a_prefix_of_each_keys_line_and_skips_none_of_it(
    places: list[tuple[int, str]], data: st.DataObject
) -> None:
    tired = data.draw(st.sets(st.sampled_from([offset for offset, _ in places]))) if places else set()
    count = {h.REDRIVE_COUNT: b"9"}
    messages = [
        sold(offset, f"{key}{offset}", key=key.encode(), more=count if offset in tired else {})
        for offset, key in places
    ]

    made = plan(box(*messages), EVERYTHING)

    for key in "xyz":
        line = sorted(offset for offset, k in places if k == key)
        going = [one.origin.offset for one in made.letters if one.key == key.encode()]
        free = next((n for n, offset in enumerate(line) if offset in tired), len(line))
        assert going == line[:free]


def test_a_letter_that_came_back_meanwhile_makes_another_plan() -> None:
    message = sold(1, "a")
    waiting = by_identity(status(message, WAITING))

    before = plan(project(DLQ, [letter(message, 0)], waiting), EVERYTHING)
    after = plan(project(DLQ, [letter(message, 0), letter(message, 1)], waiting), EVERYTHING)

    assert before.hash != after.hash
