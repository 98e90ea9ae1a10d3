"""What became of each redrive of one letter, and where the newest version is."""

from __future__ import annotations

from dataclasses import replace

from mainstem.codec import headers as h
from mainstem.errors import MAPPING_FAILED, Rejected
from mainstem.event import Origin
from mainstem.flow.letter_status import DELIVERED, DROPPED, WAITING
from mainstem.recover.faults import FaultReader
from mainstem.recover.history import History, attempts
from mainstem.recover.letterbox import read_copy
from mainstem.recover.letters import project, stretches
from mainstem.recover.redrive import dropped_record, redriven_record
from tests.unit.recover.letters import DLQ, TOPIC, FakeMessage, by_identity, letter, sold, status

REDRIVE = "shop.journal.redrive"
PARTITIONS = {TOPIC: 1, REDRIVE: 1}
MESSAGE = sold(7, "a")
COPY = read_copy(letter(MESSAGE, 0), FaultReader())


def given(redrive_id: str, at: int, *, drop: bool = False) -> FakeMessage:
    """The letter as it was given to its sink again."""
    record = (
        dropped_record(COPY, REDRIVE, redrive_id, PARTITIONS, who="ann", because="")
        if drop
        else redriven_record(COPY, REDRIVE, redrive_id, PARTITIONS)
    )
    return FakeMessage(Origin(REDRIVE, 0, at), record.key, record.value, record.headers, at_ms=1_764_000_000_000 + at)


def test_each_redrive_is_told_with_what_became_of_it() -> None:
    back = read_copy(letter(given("r1", 0), 1, Rejected("no amount", code=MAPPING_FAILED)), FaultReader())
    said = replace(status(MESSAGE, DELIVERED), redrive="r3")

    found = attempts([given("r1", 0), given("r2", 1), given("r3", 2)], [COPY, back], said)

    assert [(attempt.redrive_id, attempt.outcome) for attempt in found] == [
        ("r1", "failed again: MS-106 no amount"),
        ("r2", "not known"),
        ("r3", "delivered"),
    ]


def test_a_drop_is_told_with_who_did_it() -> None:
    (found,) = attempts([given("d1", 0, drop=True)], [COPY], replace(status(MESSAGE, DROPPED), redrive="d1"))

    assert (found.dropped_by, found.outcome) == ("ann", "dropped")


def test_every_revision_is_kept_the_copies_that_came_back_are_not_versions() -> None:
    edited = read_copy(letter(sold(7, "a", more={h.REVISION: b"1"}), 1), FaultReader())
    back = read_copy(letter(sold(7, "a", more={h.REVISION: b"1", h.REDRIVE_COUNT: b"1"}), 2), FaultReader())

    history = History([COPY, edited, back], [], None)

    assert [copy.place.offset for copy in history.revisions] == [0, 1]


def test_an_edit_counts_more_than_a_copy_of_an_earlier_revision_that_comes_back_after_it() -> None:
    edited = letter(sold(7, "a", more={h.REVISION: b"1"}), 1)
    late = letter(given("r1", 0), 2)

    (found,) = project(DLQ, [letter(MESSAGE, 0), edited, late], by_identity(status(MESSAGE, WAITING))).letters

    assert (found.place.offset, found.revision, found.first_place.offset) == (1, 1, 0)


def test_contents_are_read_in_stretches_and_what_lies_far_between_is_jumped_over() -> None:
    places = [Origin(DLQ, 0, 5), Origin(DLQ, 0, 9), Origin(DLQ, 0, 90_000), Origin(DLQ, 1, 3)]

    first, second = stretches(places)

    assert {tuple(partition): bounds for partition, bounds in first.items()} == {(DLQ, 0): (5, 10), (DLQ, 1): (3, 4)}
    assert {tuple(partition): bounds for partition, bounds in second.items()} == {(DLQ, 0): (90_000, 90_001)}
    assert stretches([]) == []
