"""Any interleaving of tries over any time: a target that does not answer is left alone, and never for ever."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.flow.breaker import OUTAGE, PROBE_LEASE_S, Breaker, Breakers, BreakerState, Ticket
from tests.thorough import examples

LONGEST_S = OUTAGE.max_s


class Target(RuleBasedStateMachine):
    """Many workers share one breaker. Each holds the tickets of its tries."""

    @initialize(share=st.floats(0, 1))
    def begin(self, share: float) -> None:
        self.now = 0.0
        self.breaker = Breaker(draw=lambda low, high: low + (high - low) * share)
        self.tries: list[Ticket] = []

    @rule(seconds=st.sampled_from([0.01, 0.1, 1.0, 5.0, LONGEST_S, PROBE_LEASE_S]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def wait_until_it_asks_again(self) -> None:
        self.now = self.breaker.asks_again_at(self.now) or self.now

    @rule(count=st.integers(1, 3))
    def enter(self, count: int) -> None:
        for _ in range(count):
            state = self.breaker.state(self.now)
            ticket = self.breaker.admit(self.now)
            if state is BreakerState.CLOSED:
                assert ticket is not None
                assert not ticket.is_probe
            if state is BreakerState.OPEN:
                assert ticket is None, "while it is open nobody tries"
            if ticket is not None:
                assert ticket.is_probe is (state is BreakerState.HALF_OPEN)
                self.tries.append(ticket)

    @precondition(lambda self: self.tries)
    @rule(data=st.data(), wish=st.sampled_from([None, None, 2.0]))
    def fail(self, data: st.DataObject, wish: float | None) -> None:
        done = self._draw(data)
        before, was = self.breaker.state(self.now), self.breaker.asks_again_at(self.now)
        self.breaker.failed(done, self.now, wish)
        if before is BreakerState.OPEN:
            assert self.breaker.asks_again_at(self.now) == was, "a try from before it opened adds nothing"

    @precondition(lambda self: self.tries)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        done = self._draw(data)
        before = self.breaker.state(self.now)
        self.breaker.succeeded(done)
        if not done.is_probe:
            assert self.breaker.state(self.now) is before, "only a probe closes it"

    @precondition(lambda self: self.tries)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        before = self.breaker.state(self.now)
        self.breaker.returned(self._draw(data))
        assert self.breaker.state(self.now) is before

    @precondition(lambda self: self.tries)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """A worker is gone with its ticket."""
        self._draw(data)

    @invariant()
    def one_probe_at_a_time(self) -> None:
        if not hasattr(self, "breaker") or self.breaker.state(self.now) is not BreakerState.HALF_OPEN:
            return
        probes = [t for t in self.tries if t.is_probe and t.opening == self.breaker._opening]
        assert len(probes) <= 1

    @invariant()
    def pauses_are_bounded(self) -> None:
        if hasattr(self, "breaker") and self.breaker.state(self.now) is BreakerState.OPEN:
            again = self.breaker.asks_again_at(self.now)
            assert again is not None
            assert again - self.now <= max(LONGEST_S, 2.0 + LONGEST_S / 10)

    def teardown(self) -> None:
        """Whatever has happened: after the longest pause and the longest silence of a probe, a success closes it."""
        if not hasattr(self, "breaker"):
            return
        self.now += max(LONGEST_S, 2.0 + LONGEST_S / 10) + PROBE_LEASE_S
        ticket = self.breaker.admit(self.now)
        assert ticket is not None, "never stuck"
        self.breaker.succeeded(ticket)
        assert self.breaker.state(self.now) is BreakerState.CLOSED

    def _draw(self, data: st.DataObject) -> Ticket:
        return self.tries.pop(data.draw(st.integers(0, len(self.tries) - 1)))


TestTarget = Target.TestCase
TestTarget.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)


def open_breaker() -> Breaker:
    breaker = Breaker(draw=lambda low, high: high)
    ticket = breaker.admit(0)
    assert ticket is not None
    breaker.failed(ticket, 0)
    return breaker


def test_pauses_grow_with_each_probe_in_vain_and_begin_anew_after_a_success() -> None:
    breaker, now, pauses = open_breaker(), 0.0, []
    for _ in range(8):
        again = breaker.asks_again_at(now)
        assert again is not None
        pauses.append(again - now)
        now = again
        probe = breaker.admit(now)
        assert probe is not None
        breaker.failed(probe, now)
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10])
    now += 10
    probe = breaker.admit(now)
    assert probe is not None
    breaker.succeeded(probe)
    ticket = breaker.admit(now)
    assert ticket is not None
    breaker.failed(ticket, now)
    assert breaker.asks_again_at(now) == pytest.approx(now + 0.2)


def test_many_tries_that_fail_together_open_it_once() -> None:
    breaker = Breaker(draw=lambda low, high: high)
    tickets = [breaker.admit(0) for _ in range(30)]
    for ticket in tickets:
        assert ticket is not None
        breaker.failed(ticket, 0)
    assert breaker.asks_again_at(0) == pytest.approx(0.2)


def test_a_late_success_of_before_does_not_close_it() -> None:
    breaker = Breaker()
    first, second = breaker.admit(0), breaker.admit(0)
    assert first is not None
    assert second is not None
    breaker.failed(first, 0)
    breaker.succeeded(second)
    assert breaker.state(0) is BreakerState.OPEN


def test_whoever_waits_is_told_when_it_opens_and_closes() -> None:
    breaker, heard = open_breaker(), list[BreakerState]()
    with breaker.heard_by(heard.append):
        probe = breaker.admit(1)
        assert probe is not None
        breaker.failed(probe, 1)
        probe = breaker.admit(2)
        assert probe is not None
        breaker.returned(probe)
        probe = breaker.admit(2)
        assert probe is not None
        breaker.succeeded(probe)
    assert heard == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]
    late = breaker.admit(3)
    assert late is not None
    breaker.failed(late, 3)
    assert len(heard) == 3


def test_a_target_has_one_breaker_in_a_process() -> None:
    breakers = Breakers()
    assert breakers.of("shop.example:443") is breakers.of("shop.example:443")
    assert breakers.of("shop.example:443") is not breakers.of("books.journal")
