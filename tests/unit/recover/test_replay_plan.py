"""Frozen ranges, jobs, and what a target's guarantee makes of a replay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mainstem.event import Origin, Partition
from mainstem.recover.replay import (
    Choice,
    Extent,
    Happening,
    Hole,
    IntoFile,
    Manner,
    Outcome,
    Range,
    Rejection,
    ReplayPlan,
    effect,
    manner_of,
    planned,
)
from mainstem.recover.replay.jobs import JOBS, KEPT_REJECTIONS, Job
from mainstem.recover.replay.ranges import freeze, remaining
from mainstem.sdk.sink import Guarantee

P0, P1 = Partition("t.x.v1", 0), Partition("t.x.v1", 1)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def made(**changes: object) -> ReplayPlan:
    values: dict[str, object] = {
        "sink": "shop.journal", "ranges": (Range(*P0, 0, 10, 9), Range(*P1, 5, 7, 2)), "extent_since": None,
        "extent_until": None, "by_event_time": False, "topic_ids": {"t.x.v1": "abc"}, "holes": (), "keys": 3,
        "keys_are_more": False, "waiting": 0, "records_s": 60.0, "effect": "nothing is doubled",
    }  # fmt: skip
    return ReplayPlan(**(values | changes))  # type: ignore[arg-type]


def test_everything_is_what_the_topics_hold_and_what_retention_took_is_told() -> None:
    ranges, holes = freeze({P0: (0, 10), P1: (4, 9)}, Extent(), {})

    assert ranges == [Range(*P0, 0, 10), Range(*P1, 4, 9)]
    assert holes == [Hole(*P1, 0, 4, certain=True)]


def test_offsets_name_single_partitions() -> None:
    extent = Extent(first={P0: 3}, last={P0: 5})

    assert freeze({P0: (0, 10), P1: (0, 9)}, extent, {}) == ([Range(*P0, 3, 5)], [])


def test_an_end_beyond_the_topics_end_is_frozen_at_it() -> None:
    assert freeze({P0: (0, 10)}, Extent(last={P0: 99}), {})[0] == [Range(*P0, 0, 10)]


def test_times_mean_the_offsets_that_were_looked_up() -> None:
    ranges, holes = freeze({P0: (0, 10), P1: (0, 9)}, Extent(since=NOON), {P0: (4, 10), P1: (9, 9)})

    assert (ranges, holes) == ([Range(*P0, 4, 10)], [])


def test_a_time_before_what_is_held_may_be_a_hole() -> None:
    _, holes = freeze({P0: (4, 10)}, Extent(since=NOON), {P0: (4, 10)})

    assert holes == [Hole(*P0, 0, 4, certain=False)]


def test_offsets_that_are_gone_are_a_hole() -> None:
    ranges, holes = freeze({P0: (4, 10)}, Extent(first={P0: 1}, last={P0: 6}), {})

    assert (ranges, holes) == ([Range(*P0, 4, 6)], [Hole(*P0, 1, 4, certain=True)])


def test_a_replay_goes_on_where_it_stands() -> None:
    left = remaining([Range(*P0, 0, 10), Range(*P1, 5, 7)], {P0: 4, P1: 7})

    assert left == {P0: (4, 10)}


@pytest.mark.parametrize(
    ("time", "is_meant"),
    [(datetime(2026, 11, 24, 11, 59, tzinfo=UTC), False), (NOON, True), (datetime(2026, 11, 24, 13, tzinfo=UTC), False),
     (None, False)],
)  # fmt: skip
def test_event_time_decides_record_by_record(time: datetime | None, is_meant: bool) -> None:
    extent = Extent(NOON, datetime(2026, 11, 24, 13, tzinfo=UTC), by_event_time=True)

    assert extent.has_event(time) is is_meant


def test_the_hash_stands_for_records_and_sink() -> None:
    assert made().hash == made(keys=99, records_s=None, waiting=4).hash
    others = [
        made(sink="shop.other"),
        made(ranges=(Range(*P0, 0, 11, 9),)),
        made(topic_ids={"t.x.v1": "made again"}),
        made(by_event_time=True, extent_since=NOON),
    ]
    others += [
        made(choice=Choice(keys=("k",))),
        made(choice=Choice(where=("k = 1",))),
        made(choice=Choice(where=("k = 1",)), schemas={"t.x.v1": "another"}),
        made(into=IntoFile("/exports/a.ndjson")),
        made(into=IntoFile("/exports/a.ndjson", reveal=True)),
    ]
    assert len({plan.hash for plan in [made(), *others]}) == 10


def test_the_plan_estimates_its_time_by_its_rate() -> None:
    assert made(records_s=11.0).minutes == pytest.approx(1 / 60)
    assert made(records_s=None).minutes is None


def test_a_job_survives_its_record() -> None:
    rejection = Rejection(Origin("t.x.v1", 0, 4), "MS-105", "no")
    job = planned(made(extent_since=NOON, holes=(Hole(*P0, 0, 4, certain=True),)))
    job = job.after(6, 1, Outcome(3, [rejection]), {P0: 7})
    job = job.on(Happening.BEGIN).on(Happening.FAIL, "MS-303 down")

    from_record = JOBS.load(JOBS.record(job).value or b"")

    assert from_record == job
    assert from_record.hash == job.hash


def test_a_batch_moves_the_job_and_counts_what_an_earlier_run_had_settled() -> None:
    job = planned(made()).after(6, 1, Outcome(3, [Rejection(Origin("t.x.v1", 0, 4), "MS-105", "no")]), {P0: 7})

    assert (job.delivered, job.rejected, job.settled_before, job.filtered, job.settled) == (3, 1, 2, 1, 6)
    assert job.next_offsets == {P0: 7}


def test_a_job_lists_a_bounded_number_of_rejections_and_counts_all() -> None:
    job: Job = planned(made())
    for n in range(3):
        rejections = [Rejection(Origin("t.x.v1", 0, n * 100 + m), "MS-105", "no") for m in range(100)]
        job = job.after(100, 0, Outcome(0, rejections), {P0: n})

    assert (len(job.rejections), job.rejected) == (KEPT_REJECTIONS, 300)


class Replacing:
    replace_by = "payment_id"
    key = ("payment_id", "line_no")


class Upserting:
    replace_by = None
    key = ("id",)


class GuardedReplacing(Replacing):
    version = "revision"


class GuardedUpserting(Upserting):
    version = "revision"


@pytest.mark.parametrize(
    ("guarantee", "sink", "says"),
    [
        (Guarantee.EXACTLY_ONCE, Replacing(), "group of rows is replaced"),
        (Guarantee.EXACTLY_ONCE, Upserting(), "each row is written again"),
        (Guarantee.EXACTLY_ONCE, GuardedReplacing(), "a group that holds a newer version is left"),
        (Guarantee.EXACTLY_ONCE, GuardedUpserting(), "a row of a newer version is left"),
        (Guarantee.EXACTLY_ONCE, object(), "appended a second time"),
        (Guarantee.IDEMPOTENT, object(), "under its old id"),
        (Guarantee.AT_LEAST_ONCE, object(), "takes each for a new one"),
    ],
)
def test_the_plan_says_what_the_target_makes_of_it(guarantee: Guarantee, sink: object, says: str) -> None:
    assert says in effect(guarantee, manner_of(sink))


def test_every_manner_has_its_sentence() -> None:
    assert len({effect(Guarantee.EXACTLY_ONCE, manner) for manner in Manner}) == len(Manner)
