"""A worker that stands still is told from one that has nothing to do, was asleep, or has been told to wait."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pytest

from mainstem.process.librdkafka.stall import UNSEEN_S, Look, Stall

ORDERS = ("orders", 3)


class Worker:
    """Seen once a second. Its loop and its thread go on unless told otherwise."""

    def __init__(self, limit_s: float = 10.0) -> None:
        self.stall = Stall(limit_s)
        self.answers = self.turns = 0

    def for_seconds(
        self,
        seconds: int,
        waiting: Mapping[Hashable, Hashable] | None = None,
        *,
        is_hung: bool = False,
        is_stuck: bool = False,
        is_paused: bool = False,
        elapsed_s: float = 1.0,
    ) -> str | None:
        for _ in range(seconds):
            self.answers += not is_hung
            self.turns += not is_stuck
            look = Look(self.answers, self.turns, waiting or {}, is_paused=is_paused)
            reason = self.stall.look(look, elapsed_s)
            if reason is not None:
                return reason
        return None


def test_a_worker_without_events_may_stand_still_for_ever() -> None:
    assert Worker().for_seconds(1000) is None


def test_an_event_loop_that_does_not_answer_is_found_even_without_events() -> None:
    worker = Worker()
    assert worker.for_seconds(10, is_hung=True) is None
    assert worker.for_seconds(1, is_hung=True) == "the event loop has not moved for 10 s"


def test_a_consumer_whose_thread_stands_still_is_found() -> None:
    assert Worker().for_seconds(11, is_stuck=True) == "the consumer's thread has not moved for 10 s"


def test_events_under_way_without_a_commit_are_found_with_their_partition() -> None:
    worker = Worker()
    assert worker.for_seconds(10, {ORDERS: 17}) is None
    assert worker.for_seconds(1, {ORDERS: 17}) == "orders/3 has had events under way for 10 s without a commit"


def test_a_commit_begins_the_time_anew() -> None:
    worker = Worker()
    for offset in range(20):
        assert worker.for_seconds(9, {ORDERS: offset}) is None


def test_a_partition_that_is_stuck_is_found_although_others_go_on() -> None:
    worker = Worker()
    reasons = [worker.for_seconds(1, {ORDERS: 17, ("orders", 4): offset}) for offset in range(11)]
    assert reasons[:10] == [None] * 10
    assert str(reasons[10]).startswith("orders/3 ")


def test_a_partition_that_was_done_meanwhile_begins_at_zero() -> None:
    worker = Worker()
    worker.for_seconds(9, {ORDERS: 17})
    worker.for_seconds(1, {})
    assert worker.for_seconds(9, {ORDERS: 17}) is None


def test_events_may_wait_while_the_app_has_paused_them_and_the_loop_may_not() -> None:
    worker = Worker()
    assert worker.for_seconds(1000, {ORDERS: 17}, is_paused=True) is None
    assert worker.for_seconds(9, {ORDERS: 17}) is None
    assert worker.for_seconds(11, {ORDERS: 17}, is_paused=True, is_hung=True) is not None


def test_a_process_that_was_asleep_for_an_hour_has_not_stalled() -> None:
    worker = Worker()
    worker.for_seconds(2, {ORDERS: 17})
    assert worker.for_seconds(1, {ORDERS: 17}, is_hung=True, is_stuck=True, elapsed_s=3600) is None
    assert worker.stall.commit_age_s == pytest.approx(1 + UNSEEN_S)


def test_what_was_forgiven_has_all_of_its_time_again() -> None:
    worker = Worker()
    assert worker.for_seconds(11, {ORDERS: 17}) is not None
    worker.stall.forgive()
    assert worker.for_seconds(10, {ORDERS: 17}) is None
    assert worker.for_seconds(1, {ORDERS: 17}) is not None


def test_the_age_is_that_of_the_partition_that_waits_longest_and_of_no_other_thing() -> None:
    worker = Worker()
    worker.for_seconds(4, {ORDERS: 17}, is_stuck=True)
    worker.for_seconds(3, {ORDERS: 17, ("orders", 4): 1})
    assert worker.stall.commit_age_s == 6
    worker.for_seconds(5, is_hung=True)
    assert worker.stall.commit_age_s == 0
