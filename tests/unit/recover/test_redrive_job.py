"""A redrive as a value: which of its letters are left, and which go first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mainstem.codec import headers as h
from mainstem.errors import Refused
from mainstem.event import Partition
from mainstem.flow.letter_status import DELIVERED, WAITING, LetterStatus
from mainstem.recover.letters import LetterBox, project
from mainstem.recover.redrive import (
    JOBS,
    Deed,
    Job,
    Terms,
    canary_of,
    dropped_record,
    plan,
    plan_drop,
    planned,
    redriven_record,
)
from mainstem.recover.redrive.canary import canary_fault
from mainstem.recover.replay import Happening, JobState
from mainstem.recover.selection import Selection
from tests.unit.recover.letters import AT, DLQ, TOPIC, FakeMessage, by_identity, letter, sold, status

REDRIVE = "shop.journal.redrive"
EVERYTHING = Selection(everything=True)
PARTITIONS = {TOPIC: 1, REDRIVE: 1}
ANN = Terms("ann")


def box(
    *messages: FakeMessage, copies: tuple[FakeMessage, ...] = (), states: dict[str, str] | None = None
) -> LetterBox:
    """Letters of these messages, `copies` behind them, all waiting unless `states` says otherwise."""
    stand = [letter(message, n, failed_at=AT + timedelta(minutes=n)) for n, message in enumerate(messages)]
    statuses = [status(m, (states or {}).get(dict(m.headers())[h.ID].decode(), WAITING)) for m in messages]
    end = {Partition(DLQ, 0): len(messages)}
    return replace(project(DLQ, [*stand, *copies], by_identity(*statuses)), end=end)


def begun(found: LetterBox, selection: Selection = EVERYTHING, terms: Terms = ANN) -> Job:
    return planned(plan(found, selection), found, terms).on(Happening.BEGIN)


def ids(letters: object) -> list[str]:
    return [one.event_id for one in letters]  # type: ignore[attr-defined]


def came_back(message: FakeMessage, job: Job, at: int) -> FakeMessage:
    """The dead letter of a record that this job redrove in vain."""
    (found,) = project(DLQ, [letter(message, 0)], by_identity(status(message, WAITING))).letters
    again = redriven_record(found, REDRIVE, job.id, PARTITIONS)
    return letter(FakeMessage(message.place, again.key, again.value, again.headers), at)


def test_the_last_that_was_sent_says_which_are_left() -> None:
    found = box(sold(1, "a"), sold(2, "b"), sold(3, "c"))
    job = begun(found)
    assert ids(job.left(found)) == ["a", "b", "c"]

    job = job.after(found.letters[:2])

    assert (ids(job.left(found)), job.sent) == (["c"], 2)
    assert job.after(found.letters[2:]).left(found) == []


def test_a_job_is_read_as_it_was_written_whatever_bytes_its_keys_are() -> None:
    found = box(sold(1, "a", key=b"\xff\x00"))
    job = begun(found, Selection(keys=frozenset({b"\xff\x00"}), since=AT), Terms("ann", "why", 3.5, 10))
    job = job.after_canary(found.letters).passed().after(found.letters)

    read = JOBS.load(JOBS.dump(job) or b"")

    assert read == job
    assert read.selection.takes(found.letters[0])


def test_letters_that_came_after_the_plan_are_not_its() -> None:
    early = box(sold(1, "a"))
    job = begun(early)
    later = replace(box(sold(1, "a"), sold(2, "b")), end=None)

    assert ids(job.left(later)) == ["a"]


def test_a_letter_that_was_edited_after_the_plan_is_still_its_and_goes_as_it_is_now() -> None:
    job = begun(box(sold(1, "a")))
    edited = letter(sold(1, "a", more={h.REVISION: b"1"}), 9)

    (left,) = job.left(box(sold(1, "a"), copies=(edited,)))

    assert (left.place.offset, left.revision) == (9, 1)


def test_behind_a_letter_that_came_back_its_key_is_left_alone() -> None:
    a, b, other = sold(1, "a"), sold(2, "b"), sold(3, "o", key=b"x")
    job = begun(box(a, b, other))
    job = job.after(box(a, b, other).letters[:1])

    after = box(a, b, other, copies=(came_back(a, job, 5),))

    assert ids(job.left(after)) == ["o"]


def test_what_was_settled_meanwhile_is_not_sent() -> None:
    found = box(sold(1, "a"), sold(2, "b"), states={"a": DELIVERED})
    job = begun(box(sold(1, "a"), sold(2, "b")))

    assert ids(job.left(found)) == ["b"]


def test_a_drop_takes_the_selected_letters_and_no_companions() -> None:
    found = box(sold(1, "a"), sold(2, "b"), sold(3, "c"))

    made = plan_drop(found, Selection(event_ids=frozenset({"b"})))

    assert (ids(made.letters), made.companions, made.deed) == (["b"], 0, Deed.DROP)
    assert made.hash != plan_drop(found, EVERYTHING).hash
    assert plan_drop(found, EVERYTHING).hash != plan(found, EVERYTHING).hash


def test_a_dropped_record_says_who_and_why_and_holds_no_value() -> None:
    (found,) = box(sold(7, "a", partition=0)).letters

    record = dropped_record(found, REDRIVE, "d1", PARTITIONS, who="ann", because="a test")

    headers = h.as_dict(record.headers)
    assert (record.key, record.value, record.partition) == (b"k", None, 0)
    assert (headers[h.DROP], headers[h.DROP_BECAUSE], headers[h.ID]) == (b"ann", b"a test", b"a")
    assert headers["mainstem_origin_offset"] == b"7"


def test_a_canary_is_whole_keys_the_oldest_first() -> None:
    found = box(
        sold(1, "x1", key=b"x"), sold(2, "y1", key=b"y"), sold(3, "x2", key=b"x"), sold(4, "z1", key=b"z"),
        sold(5, "y2", key=b"y"), sold(6, "x3", key=b"x"),
    )  # fmt: skip

    assert ids(canary_of(found.letters, 4)) == ["x1", "x2", "z1", "x3"]
    assert ids(canary_of(found.letters, 5)) == ["x1", "y1", "x2", "y2", "x3"]
    assert ids(canary_of(found.letters, 100)) == ids(found.letters)


def test_a_canary_is_never_more_than_was_said_even_of_one_long_key() -> None:
    found = box(*(sold(n, f"a{n}") for n in range(9)))

    assert ids(canary_of(found.letters, 4)) == ["a0", "a1", "a2", "a3"]
    assert canary_of([], 4) == []


def test_after_its_canary_a_job_sends_the_others_each_once() -> None:
    found = box(sold(1, "x1", key=b"x"), sold(2, "y1", key=b"y"), sold(3, "x2", key=b"x"))
    job = begun(found, terms=Terms("ann", canary=2))
    job = job.after_canary(canary_of(found.letters, 2))

    assert job.is_a_canarys
    assert not job.passed().is_a_canarys
    assert ids(job.passed().left(found)) == ["y1"], "not even those of which the sink has said nothing"


def test_a_canary_that_failed_is_told_with_its_codes() -> None:
    def failed(code: str) -> LetterStatus:
        return LetterStatus(DLQ, "a", WAITING, f"{TOPIC}:0:1", "now", code=code)

    said = canary_fault(10, [failed("MS-105"), failed("MS-106"), failed("MS-105")])

    assert said == "canary: 3 of 10 letters failed again: MS-105 (2), MS-106 (1); the others were left alone"
    assert canary_fault(10, []) is None


def test_a_job_that_is_over_does_not_begin_again() -> None:
    job = begun(box(sold(1, "a")))

    for end in (Happening.FINISH, Happening.CANCEL):
        with pytest.raises(Refused, match=job.id):
            job.on(end).on(Happening.BEGIN)
    assert job.on(Happening.PAUSE).on(Happening.BEGIN).state is JobState.RUNNING
    assert job.on(Happening.FAIL, "why").error == "why"
