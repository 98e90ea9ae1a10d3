"""Which partitions run: a model of what a client would be told to pause and to resume."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mainstem.event import Partition
from mainstem.kafka.holdings import Holdings

PLACES = [Partition("t", number) for number in range(4)]
some = st.sets(st.sampled_from(PLACES))


class Client(RuleBasedStateMachine):
    """`reads` is what a client would hand out, if it does as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.holdings = Holdings()
        self.reads: set[Partition] = set()
        self.ours: set[Partition] = set()
        self.started: set[Partition] = set()
        self.at: dict[Partition, int] = {}

    @rule(partitions=some)
    def assign(self, partitions: set[Partition]) -> None:
        self.holdings.assign(partitions)
        self.ours, self.started, self.reads = set(partitions), set(), set()

    @rule(partitions=some)
    def leave(self, partitions: set[Partition]) -> None:
        self.holdings.leave(partitions)
        self.ours -= partitions
        self.started -= partitions
        self.reads -= partitions

    @rule(partitions=some)
    def hold(self, partitions: set[Partition]) -> None:
        self.reads -= set(self.holdings.hold(partitions))
        self.started -= partitions

    @rule(partitions=some, offset=st.integers(0, 9))
    def start(self, partitions: set[Partition], offset: int) -> None:
        for partition in self.holdings.waiting(partitions):
            self.started.add(partition)
            self.at[partition] = offset
            self.holdings.start(partition, offset)
            if not self.holdings.is_resting:
                self.reads.add(partition)

    @rule(partition=st.sampled_from(PLACES), offset=st.integers(-1001, 9))
    def goes_on(self, partition: Partition, offset: int) -> None:
        self.holdings.goes_on(partition, offset)
        if partition in self.started and offset >= 0:
            self.at[partition] = offset

    @rule()
    def rest(self) -> None:
        self.holdings.is_resting = True
        self.reads -= set(self.holdings.running())

    @rule()
    def go_on(self) -> None:
        self.holdings.is_resting = False
        self.reads |= set(self.holdings.running())

    @invariant()
    def reads_what_was_started_and_is_ours_unless_it_rests(self) -> None:
        assert self.reads == (set() if self.holdings.is_resting else self.started)
        assert self.started <= self.ours
        assert self.holdings.starts() == {partition: self.at[partition] for partition in self.started}
        assert {place for place in PLACES if place in self.holdings} == self.ours


TestHoldings = Client.TestCase
