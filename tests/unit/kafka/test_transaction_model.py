"""Whatever the network does to requests, and whoever takes over when, each record is there once and in order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mainstem.kafka.transaction_run import Ask, perform
from mainstem.kafka.transaction_state import OPENED, Call, Outcome, State
from tests.thorough import examples
from tests.unit.kafka.transaction_model import Coordinator, Fate, Network

RECORDS = 3
"""Of each transaction: one that is torn would show."""
FATES = st.sampled_from(Fate)
WRITTEN = st.sampled_from([Fate.FINE, Fate.FINE, Fate.FINE, Fate.DENIED, Fate.REFUSED])


class Owner:
    """One process that works as the users of the producer are told to."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.claim()

    def claim(self) -> None:
        self.network = Network(self.coordinator, self.coordinator.claim())
        self.state = State.READY
        self.position = len(self.coordinator.log)

    def transact(self, written: Fate, ended: Fate, aborted: Fate, deliveries: list[bool]) -> None:
        network = self.network
        abort = network.call(Call.ABORT, aborted, lambda: self.coordinator.end(network.epoch, False))
        calls = self._calls(written, ended, iter(deliveries))
        standing, _ = perform(OPENED, calls, abort, network.patience())
        self.state = standing.state
        if standing.outcome is Outcome.COMMITTED:
            self.position += RECORDS

    def _calls(self, written: Fate, ended: Fate, deliveries: Iterator[bool]) -> Iterator[tuple[Call, Ask]]:
        network, start = self.network, self.position
        for record in range(start, start + RECORDS):
            if next(deliveries) and self.coordinator.late:
                self.coordinator.late.pop(0)()
            fate = written if record == start + RECORDS - 1 else Fate.FINE
            yield Call.WRITE, network.call(Call.WRITE, fate, partial(self.coordinator.write, network.epoch, record))
        yield Call.COMMIT, network.call(Call.COMMIT, ended, lambda: self.coordinator.end(network.epoch, True))


def work_once(
    machine: TransactionsOnABadNetwork, written: Fate, ended: Fate, aborted: Fate, deliveries: list[bool]
) -> None:
    if machine.owner.state is not State.READY:
        machine.owner.claim()
    machine.owner.transact(written, ended, aborted, deliveries)
    assert machine.owner.state is not State.FENCED


class TransactionsOnABadNetwork(RuleBasedStateMachine):
    """Owners come and go; one of them may not know yet that it is not the owner any more."""

    def __init__(self) -> None:
        super().__init__()
        self.coordinator = Coordinator()
        self.owner = Owner(self.coordinator)
        self.zombies: list[Owner] = []

    @rule(written=WRITTEN, ended=FATES, aborted=FATES, deliveries=st.lists(st.booleans(), min_size=3, max_size=3))
    def work(self, written: Fate, ended: Fate, aborted: Fate, deliveries: list[bool]) -> None:
        work_once(self, written, ended, aborted, deliveries)

    @rule()
    def hand_over(self) -> None:
        self.zombies.append(self.owner)
        self.owner = Owner(self.coordinator)

    @precondition(lambda self: self.zombies)
    @rule(ended=FATES)
    def wake(self, ended: Fate) -> None:
        zombie = self.zombies.pop()
        if zombie.state is State.READY:
            zombie.transact(Fate.FINE, ended, Fate.FINE, [False] * 3)
            assert zombie.state is not State.READY

    @precondition(lambda self: self.coordinator.late)
    @rule()
    def deliver(self) -> None:
        self.coordinator.late.pop(0)()

    @invariant()
    def every_record_is_there_once_and_no_transaction_is_torn(self) -> None:
        assert self.coordinator.log == list(range(len(self.coordinator.log)))
        assert len(self.coordinator.log) % RECORDS == 0


TestTransactionsOnABadNetwork = TransactionsOnABadNetwork.TestCase
TestTransactionsOnABadNetwork.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)

WAYS = [
    *[(Fate.FINE, ended, Fate.FINE) for ended in Fate],
    *[(Fate.DENIED, Fate.FINE, aborted) for aborted in Fate],
    (Fate.REFUSED, Fate.FINE, Fate.FINE),
]
"""Every way in which a transaction can go: what becomes of its last record, its commit, its abort."""
NEVER = [False] * RECORDS
MOMENTS = [[moment == n for n in range(RECORDS)] for moment in range(RECORDS)]


def test_whatever_happens_to_two_transactions_a_late_copy_of_the_first_does_not_touch_the_second() -> None:
    for first, second, moment in itertools.product(WAYS, WAYS, MOMENTS):
        machine = TransactionsOnABadNetwork()
        for way, deliveries in ((first, NEVER), (second, moment), (WAYS[0], NEVER)):
            work_once(machine, *way, deliveries)
            machine.every_record_is_there_once_and_no_transaction_is_torn()
        while machine.coordinator.late:
            machine.coordinator.late.pop(0)()
            machine.every_record_is_there_once_and_no_transaction_is_torn()
