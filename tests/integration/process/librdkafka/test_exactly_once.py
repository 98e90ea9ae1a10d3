"""Exactly once, on real Kafka: workers die, sleep and fail, and a read_committed reader sees each event once."""

from __future__ import annotations

import os
from time import monotonic

import pytest

from tests.integration.process.librdkafka.conftest import MakeField
from tests.integration.process.librdkafka.field import (
    Fault,
    assert_counts_exact,
    assert_each_once,
    assert_in_order,
    events,
)
from tests.integration.process.librdkafka.worker_app import SECOND

pytestmark = pytest.mark.stack

SMALL_EPOCHS = {"epoch_events": 40, "batch": 40}
KILLS: list[Fault] = [
    ("before flush", "kill", 0.3),
    ("before offsets", "kill", 0.3),
    ("after offsets", "kill", 0.3),
    ("before commit", "kill", 0.3),
    ("after commit", "kill", 0.3),
]
MODES = ["step", "async step", "agent"]


@pytest.mark.parametrize("mode", [*MODES, "batches"])
def test_a_worker_killed_around_its_commits_loses_and_doubles_nothing(make_field: MakeField, mode: str) -> None:
    field = make_field(mode=mode, faults=KILLS, engine=SMALL_EPOCHS)
    field.publish(events(2_000))
    field.start("w1")
    field.run_until_done()
    assert field.ends[-9] == len(KILLS), field.report()
    assert_each_once(field, range(2_000))
    assert_in_order(field)


@pytest.mark.parametrize("mode", MODES)
def test_tables_are_exact_after_kills_around_commits(make_field: MakeField, mode: str) -> None:
    field = make_field(mode=mode, has_table=True, faults=KILLS, engine=SMALL_EPOCHS)
    field.publish(events(2_000))
    field.start("w1")
    field.run_until_done()
    assert field.ends[-9] == len(KILLS), field.report()
    assert_each_once(field, range(2_000))
    assert_counts_exact(field, range(2_000))


def test_two_workers_hand_partitions_over_while_one_after_the_other_is_killed(make_field: MakeField) -> None:
    field = make_field(has_table=True, faults=KILLS[:3], engine=SMALL_EPOCHS)
    field.publish(events(1_000))
    field.start_together("w1", "w2")
    field.publish(events(2_000)[1_000:])
    field.run_until_done()
    assert field.ends[-9] == 3, field.report()
    assert_each_once(field, range(2_000))
    assert_counts_exact(field, range(2_000))


def test_a_batch_that_waits_holds_up_no_commit_and_no_worker(make_field: MakeField) -> None:
    """It may wait for hours: longer than events may take (`drain_s`), and than a transaction may be open."""
    limits = {"drain_s": 1.0, "transaction_timeout_s": 2.0}
    field = make_field(mode="batches", engine={**SMALL_EPOCHS, **limits})
    field.publish(events(500))
    field.start("w1")
    field.wait_until(lambda: len(field.outputs()) == 500)
    field.publish([{"id": 500, "key": "k0", "endless": True}])
    began = monotonic()
    field.wait_until(lambda: monotonic() - began > 3 * limits["transaction_timeout_s"])
    assert field.running() == {"w1"}, field.report()
    field.settings["endures"] = True
    field.kill("w1")
    field.publish(events(600)[501:])
    field.run_until_done()
    assert_each_once(field, range(600))
    assert_in_order(field)


def test_a_record_that_no_agent_can_decode_is_a_dead_letter_and_the_others_go_on(make_field: MakeField) -> None:
    field = make_field(mode="agents", engine=SMALL_EPOCHS)
    made = events(400)
    field.publish(made[:200])
    field.publish_as_it_is("k1", b"no json")
    field.publish(made[200:])
    field.start("w1")
    field.run_until_done()
    assert field.ends == {}, field.report()
    assert_each_once(field, [*range(400), *range(SECOND, SECOND + 400)])
    assert [(key, value) for key, value, _ in field.whole(field.letters)] == [(b"k1", b"no json")]


@pytest.mark.parametrize(("mode", "batch"), [("step", 500), ("async step", 500), ("async step", 20), ("agent", 500)])
def test_a_backlog_of_slow_events_makes_epochs_small_and_ends_no_worker(
    make_field: MakeField, mode: str, batch: int
) -> None:
    """All that is delivered at first takes more time than a commit may wait for it; so does the first batch by itself,
    where it is as large as an epoch: the step leaves it in its middle."""
    slow_s = 0.08 if mode == "async step" else 0.02
    field = make_field(mode=mode, has_table=True, slow_s=slow_s, engine={"drain_s": 1.0, "batch": batch})
    field.publish(events(500))
    field.start("w1")
    field.run_until_done()
    assert field.ends == {}, field.report()
    assert_each_once(field, range(500))
    assert_in_order(field)
    assert_counts_exact(field, range(500))


def test_a_backlog_that_only_one_of_two_agents_is_slow_with_ends_no_worker(make_field: MakeField) -> None:
    field = make_field(mode="agents", engine={"drain_s": 0.5})
    field.publish(events(1_000))
    field.start("w1")
    field.run_until_done()
    assert field.ends == {}, field.report()
    assert_each_once(field, [*range(1_000), *range(SECOND, SECOND + 1_000)])


def test_a_worker_that_is_stopped_in_the_middle_leaves_its_table_as_far_as_its_events(make_field: MakeField) -> None:
    field = make_field(mode="agent", has_table=True, engine=SMALL_EPOCHS)
    field.publish(events(4_000))
    for _ in range(2):
        before = len(field.outputs()) if field.lives else 0
        field.start("w1")
        field.wait_until(lambda: len(field.outputs()) > before)  # noqa: B023 - called at once
        field.end("w1")
    assert len(field.outputs()) < 4_000, "it was in the middle"
    field.start("w1")
    field.run_until_done()
    assert field.ends == {}, field.report()
    assert_each_once(field, range(4_000))
    assert_counts_exact(field, range(4_000))


def test_two_agents_of_one_topic_live_through_a_rebalance_in_which_only_one_of_them_is_done_with_an_event(
    make_field: MakeField,
) -> None:
    field = make_field(mode="agents", engine={"epoch_events": 200, "batch": 100})
    field.publish(events(4_000))
    field.start("w1")
    field.wait_until(lambda: len(field.outputs()) > 0)
    field.start("w2")
    field.run_until_done()
    assert field.ends == {}, field.report()
    assert_each_once(field, [*range(4_000), *range(SECOND, SECOND + 4_000)])


@pytest.mark.parametrize("place", ["before flush", "before offsets", "after offsets"])
def test_a_worker_asleep_in_its_commit_beyond_the_transaction_timeout_writes_nothing_more(
    make_field: MakeField, place: str
) -> None:
    field = make_field(
        has_table=True,
        faults=[(place, "stop", 0.3)],
        asleep_s=16.0,
        engine={**SMALL_EPOCHS, "transaction_timeout_s": 5.0, "drain_s": 4.0},
    )
    field.start_together("w1", "w2")
    field.publish(events(1_500))
    field.run_until_done()
    assert field.sleeps == 1, field.report()
    assert set(field.ends) <= {os.EX_TEMPFAIL}, field.report()
    assert_each_once(field, range(1_500))
    assert_counts_exact(field, range(1_500))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("has_table", [False, True])
def test_poison_records_become_dead_letters_and_leave_no_trace_elsewhere(
    make_field: MakeField, mode: str, has_table: bool
) -> None:
    poison, odd = {7, 8, 9, 500, 999}, {20, 700}
    field = make_field(mode=mode, has_table=has_table, engine={"retries": 1})
    field.publish(events(1_000, poison=poison, odd=odd))
    field.start("w1")
    field.run_until_done()
    good = set(range(1_000)) - poison
    assert_each_once(field, good)
    if has_table:
        assert_counts_exact(field, good)
    letters = field.dead_letters()
    assert sorted(number for number, _ in letters) == sorted(poison), field.report()
    assert {headers["error"] for _, headers in letters} == {b"ValueError: poison"}
    assert all(headers["origin"].startswith(field.reads.encode()) for _, headers in letters)
