"""The windows that are kept, against a set, and a set of what is committed."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mainstem.process.librdkafka.windows import Ends, Window
from tests.thorough import examples

SIZE_S = 10.0
EXPIRES_S = 20.0


def is_over(end: float, latest: float) -> bool:
    return end <= latest - EXPIRES_S


def window(key: str, number: int) -> Window:
    return (key, (number * SIZE_S, (number + 1) * SIZE_S))


class EndsModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.ends = Ends()
        self.now: set[Window] = set()
        self.committed: set[Window] = set()
        self.latest = float("-inf")

    @rule(key=st.sampled_from("ab"), number=st.integers(0, 9))
    def add(self, key: str, number: int) -> None:
        self.ends.add(window(key, number))
        self.now.add(window(key, number))
        self.latest = max(self.latest, number * SIZE_S)

    @rule()
    def take(self) -> None:
        over = {one for one in self.now if is_over(one[1][1], self.latest)}
        taken = self.ends.take(is_over)
        assert set(taken) == over
        assert len(taken) == len(over)
        assert [one[1][1] for one in taken] == sorted(one[1][1] for one in taken)
        self.now -= over

    @rule()
    def keep(self) -> None:
        self.ends.keep()
        self.committed = set(self.now)

    @rule()
    def drop(self) -> None:
        self.ends.drop()
        self.now = set(self.committed)


TestEnds = EndsModel.TestCase
TestEnds.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)


def test_a_window_ends_by_the_time_of_events() -> None:
    ends = Ends([window("a", 0)])
    assert ends.take(is_over) == []
    ends.add(window("b", 3))
    assert ends.take(is_over) == [window("a", 0)]
    assert ends.take(is_over) == []


def test_a_window_that_was_told_and_opened_again_is_kept_when_both_are_aborted() -> None:
    ends = Ends([window("a", 0), window("b", 3)])
    for _ in range(2):
        assert ends.take(is_over) == [window("a", 0)]
        ends.add(window("a", 0))
        ends.drop()
    assert ends.take(is_over) == [window("a", 0)]
