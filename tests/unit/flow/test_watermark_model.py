"""Any order of beginnings and ends: what may be committed, and what of it a successor passes over."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.flow.watermark import Watermark
from tests.thorough import examples


class Partition(RuleBasedStateMachine):
    """Against a model that keeps every record for ever."""

    @initialize(start=st.integers(0, 5), done=st.sets(st.integers(0, 30), max_size=5))
    def begin_partition(self, start: int, done: set[int]) -> None:
        self.done = {start + 1 + one for one in done}
        self.mark: Watermark[str] = Watermark(start, self.done)
        self.next = start
        self.begun: list[int] = []
        self.finished: dict[int, str] = {}
        self.kept: set[int] = set()

    @rule(gap=st.integers(0, 3))
    def begin(self, gap: int) -> None:
        """A gap is what a transaction marker leaves."""
        offset = self.next + gap
        assert self.mark.begin(offset) is (offset not in self.done)
        self.begun.append(offset)
        self.next = offset + 1

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def begin_again(self, data: st.DataObject) -> None:
        assert not self.mark.begin(data.draw(st.sampled_from(self.begun)))

    @precondition(lambda self: self.open())
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.open())))
        self.mark.finish(offset, f"outcome of {offset}")
        self.finished[offset] = f"outcome of {offset}"

    @precondition(lambda self: self.finished)
    @rule(data=st.data())
    def finish_again(self, data: st.DataObject) -> None:
        with pytest.raises(KeyError):
            self.mark.finish(data.draw(st.sampled_from(sorted(self.finished))), "again")

    @rule(span=st.integers(1, 10))
    def keep(self, span: int) -> None:
        """As a checkpoint does that can note so many offsets beyond the position."""
        before = self.mark.position + span
        for offset, _ in self.mark.finished(before):
            assert self.mark.keep(offset) == self.finished[offset]
            self.kept.add(offset)

    def open(self) -> set[int]:
        return set(self.begun) - self.finished.keys() - self.done

    @invariant()
    def the_position_is_the_first_that_is_not_finished(self) -> None:
        if hasattr(self, "mark"):
            assert self.mark.position == min(self.open(), default=self.next)
            assert self.mark.next_to_begin == self.next

    @invariant()
    def a_successor_passes_over_exactly_what_is_finished(self) -> None:
        if not hasattr(self, "mark"):
            return
        for before in (self.mark.position + 4, self.next, self.next + 8):
            ended = set(self.begun) - self.open() | {offset for offset in self.done if offset >= self.next}
            assert self.mark.ahead(before) == sorted(o for o in ended if self.mark.position <= o < before)

    @invariant()
    def outcomes_are_there_until_they_are_kept(self) -> None:
        if hasattr(self, "mark"):
            left = {offset: outcome for offset, outcome in self.finished.items() if offset not in self.kept}
            assert self.mark.finished(self.next) == sorted(left.items())


def test_what_a_predecessor_has_done_and_nobody_has_fetched_yet_is_handed_on() -> None:
    mark: Watermark[str] = Watermark(10, {12, 40, 50})
    for offset in (10, 11, 12, 13):
        mark.begin(offset)
    mark.finish(10, "")
    mark.finish(13, "")
    assert (mark.position, mark.ahead(50)) == (11, [12, 13, 40])


TestPartition = Partition.TestCase
TestPartition.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)
