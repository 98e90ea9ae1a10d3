"""Records that retention takes away in the middle of a replay are never skipped silently."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mainstem.errors import OFFSETS_GONE, Refused
from mainstem.event import Partition
from mainstem.recover.replay.reading import check_gaps
from tests.unit.recover.letters import TOPIC, sold

P0, P1 = Partition(TOPIC, 0), Partition(TOPIC, 1)


class Begins:
    """Partitions that begin there; it remembers who asked."""

    def __init__(self, lows: Mapping[Partition, int]) -> None:
        self.lows = lows
        self.asked: list[Partition] = []

    def bounds(self, partition: Partition) -> tuple[int, int]:
        self.asked.append(partition)
        return self.lows[partition], 100


def test_a_gap_that_a_transactions_marker_leaves_is_none() -> None:
    expected = {P0: 0, P1: 0}

    check_gaps(Begins({P0: 0}), [sold(0, "a"), sold(2, "b"), sold(0, "c", partition=1)], expected)

    assert expected == {P0: 3, P1: 1}


def test_records_that_are_gone_stop_the_replay() -> None:
    with pytest.raises(Refused, match=f"{TOPIC}:0 lost offsets 1 to 4") as refused:
        check_gaps(Begins({P0: 5}), [sold(0, "a"), sold(5, "b")], {P0: 0})

    assert refused.value.code is OFFSETS_GONE


def test_kafka_is_asked_once_a_batch_and_only_about_gaps() -> None:
    begins = Begins({P0: 0})

    check_gaps(begins, [sold(0, "a"), sold(2, "b"), sold(4, "c"), sold(0, "d", partition=1)], {P0: 0, P1: 0})

    assert begins.asked == [P0]


def test_offsets_that_come_again_stop_the_replay() -> None:
    with pytest.raises(Refused, match=f"{TOPIC}:0 was made anew"):
        check_gaps(Begins({}), [sold(5, "a"), sold(0, "b")], {P0: 5})
