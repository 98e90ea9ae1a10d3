"""Whoever observes the engine is told, and cannot disturb it."""

from __future__ import annotations

import logging

import pytest
from faust.types import TP

from mainstem.process.librdkafka.observing import Observer, Tell
from mainstem.process.librdkafka.progress import Progress

ORDERS = TP("orders", 3)


class Counting(Observer):
    def __init__(self) -> None:
        self.events = 0

    def committed(self, events: int, epoch_s: float, commit_s: float) -> None:
        self.events += events

    def aborted(self, reason: str) -> None:
        raise RuntimeError("the metrics are away")


def test_an_observer_hears_what_it_overrides_and_nothing_else_needs_to_be_there() -> None:
    observer, tell = Counting(), Tell()
    tell(observer.committed, 7, 0.2, 0.1)
    tell(observer.lagging, {ORDERS: 1})
    assert observer.events == 7


def test_an_observer_that_raises_is_logged_once_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    observer, tell = Counting(), Tell()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            tell(observer.aborted, "an event failed")
    assert [record.message for record in caplog.records] == [
        "an observer failed, which is not said again: Counting.aborted"
    ]


READY = Progress(is_assigned=True, partitions=3, is_restored=True, commit_age_s=1.0, patience_s=30.0)


@pytest.mark.parametrize(
    ("progress", "is_ready"),
    [
        (READY, True),
        (Progress(is_assigned=True, is_restored=True, patience_s=30.0), True),
        (Progress(is_assigned=True, is_restored=True, patience_s=30.0, behind={ORDERS: 10**9}), True),
        (Progress(), False),
        (Progress(is_assigned=False, is_restored=True, patience_s=30.0), False),
        (Progress(is_assigned=True, is_restored=False, patience_s=30.0), False),
        (Progress(is_assigned=True, is_restored=True, commit_age_s=30.0, patience_s=30.0), False),
    ],
    ids=["works", "spare", "much to do", "before it runs", "not assigned", "restoring", "stuck"],
)
def test_a_worker_is_ready_when_it_does_its_part(progress: Progress, is_ready: bool) -> None:
    assert progress.is_ready is is_ready
