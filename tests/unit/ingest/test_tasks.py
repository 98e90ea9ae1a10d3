from __future__ import annotations

from collections import Counter

import pytest

from mainstem.ingest.tasks import CALM_S, LONGEST_RETAKE_S, PARTITIONS, RETAKE_S, Duty, partition_of

A, B = "shop.catalog", "shop.orders"


@pytest.mark.parametrize(("task", "partition"), [(A, 4), (B, 9), ("payments-to-accounting.catalog", 10)])
def test_a_tasks_partition_never_changes(task: str, partition: int) -> None:
    """A process of another version has to come to the same one."""
    assert partition_of(task) == partition


def test_many_tasks_spread_over_all_partitions() -> None:
    counts = Counter(partition_of(f"i.source{number}") for number in range(1200))

    assert set(counts) == set(range(PARTITIONS))
    assert max(counts.values()) < 150


def test_what_is_assigned_is_started_once_and_what_is_revoked_is_stopped_once() -> None:
    duty = Duty([A])
    mine = partition_of(A)

    assert duty.assigned([mine]) == {A}
    assert duty.assigned([mine, (mine + 1) % PARTITIONS]) == set()
    assert duty.revoked([(mine + 1) % PARTITIONS]) == set()
    assert duty.revoked(range(PARTITIONS)) == {A}
    assert duty.revoked(range(PARTITIONS)) == set()


def test_pauses_after_fences_grow_to_a_limit_and_begin_again_after_calm() -> None:
    duty = Duty([A])
    pauses = [duty.fenced(A, now=float(n)) for n in range(12)]

    assert pauses[:3] == [RETAKE_S, 2 * RETAKE_S, 4 * RETAKE_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_RETAKE_S
    assert duty.fenced(A, now=12 + CALM_S) == RETAKE_S
