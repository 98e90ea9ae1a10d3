"""The watermark against a plain model: sets of offsets, searched from the start each time."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainstem.process.librdkafka.flight import Flight, Flights
from tests.thorough import examples

PARTITIONS = ("a", "b", "c")


@dataclass
class Ledger:
    """What is true of one partition."""

    committed: int
    spans: list[tuple[int, int]] = field(default_factory=list)
    done: set[int] = field(default_factory=set)

    def mark(self) -> int:
        at = self.committed
        for first, after in self.spans:
            if first not in self.done:
                break
            at = after
        return at

    def next_offset(self) -> int:
        return self.spans[-1][1] if self.spans else self.committed


class FlightsModel(RuleBasedStateMachine):
    @initialize(starts=st.dictionaries(st.sampled_from(PARTITIONS), st.integers(0, 50), min_size=1))
    def assign(self, starts: dict[str, int]) -> None:
        self.flights: Flights[str] = Flights()
        self.flights.restart(gained=starts)
        self.ledgers = {p: Ledger(offset) for p, offset in starts.items()}
        self.sent: list[tuple[str, int, int]] = []

    @rule(partitions=st.sets(st.sampled_from(PARTITIONS)))
    def defer(self, partitions: set[str]) -> None:
        self.flights.deferred = partitions

    @rule(p=st.sampled_from(PARTITIONS), gap=st.integers(0, 3), width=st.integers(1, 4))
    def deliver(self, p: str, gap: int, width: int) -> None:
        if p not in self.flights:
            return
        first = self.ledgers[p].next_offset() + gap
        self.flights.deliver(p, first, first + width)
        self.ledgers[p].spans.append((first, first + width))
        self.sent.append((p, first, self.flights.generation))

    @rule(pick=st.integers(0, 1000))
    def acknowledge_anything_ever_sent(self, pick: int) -> None:
        if not self.sent:
            return
        p, first, generation = self.sent[pick % len(self.sent)]
        is_current = generation == self.flights.generation and p in self.ledgers
        counts = is_current and first not in self.ledgers[p].done
        assert self.flights.acknowledge(p, first, generation) is counts
        if counts:
            self.ledgers[p].done.add(first)

    @rule(pick=st.integers(0, 1000), share=st.floats(0, 1))
    def split_anything_ever_sent(self, pick: int, share: float) -> None:
        if not self.sent:
            return
        p, first, generation = self.sent[pick % len(self.sent)]
        is_current = generation == self.flights.generation and p in self.ledgers
        ledger = self.ledgers[p] if is_current else Ledger(0)
        after = dict(ledger.spans).get(first, first)
        at = first + 1 + int((after - first - 1) * share)
        if is_current and first not in ledger.done and first < at < after:
            self.flights.split(p, first, at, generation)
            place = ledger.spans.index((first, after))
            ledger.spans[place : place + 1] = [(first, at), (at, after)]
        elif not is_current or first in ledger.done:
            self.flights.split(p, first, first + 1, generation)

    @rule()
    def commit(self) -> None:
        due = self.flights.due()
        assert due == {p: led.mark() for p, led in self.ledgers.items() if led.mark() > led.committed}
        self.flights.committed(due)
        for p, offset in due.items():
            ledger = self.ledgers[p]
            ledger.spans = [span for span in ledger.spans if span[0] >= offset]
            ledger.committed = offset

    @rule()
    def rewind(self) -> None:
        before = self.flights.generation
        assert self.flights.rewind() == {p: ledger.committed for p, ledger in self.ledgers.items()}
        assert self.flights.generation > before
        self.ledgers = {p: Ledger(ledger.committed) for p, ledger in self.ledgers.items()}

    @rule(
        gained=st.dictionaries(st.sampled_from(PARTITIONS), st.integers(0, 50)),
        left=st.sets(st.sampled_from(PARTITIONS)),
    )
    def rebalance(self, gained: dict[str, int], left: set[str]) -> None:
        starts = self.flights.restart(gained=gained, left=left)
        kept = {p: ledger.committed for p, ledger in self.ledgers.items() if p not in left}
        assert starts == {**kept, **gained}
        self.ledgers = {p: Ledger(offset) for p, offset in starts.items()}

    @invariant()
    def counts_agree(self) -> None:
        open_ = {p: len(led.spans) - len({f for f, _ in led.spans} & led.done) for p, led in self.ledgers.items()}
        assert self.flights.outstanding == sum(n for p, n in open_.items() if p not in self.flights.deferred)
        assert self.flights.is_idle is not any(open_.values())
        beyond = any(
            first in ledger.done and first >= ledger.mark()
            for ledger in self.ledgers.values()
            for first, _ in ledger.spans
        )
        assert self.flights.has_gap is beyond


TestFlights = FlightsModel.TestCase
TestFlights.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)


def test_the_watermark_stops_before_what_is_not_done() -> None:
    flight = Flight(10)
    for first in (10, 11, 15):
        flight.deliver(first, first + 1)
    assert flight.acknowledge(15)
    assert flight.acknowledge(10)
    assert (flight.mark, flight.has_gap, flight.outstanding) == (11, True, 1)
    assert flight.acknowledge(11)
    assert (flight.mark, flight.has_gap, flight.outstanding) == (16, False, 0)


def test_what_was_split_off_is_not_done_until_it_is_delivered_anew() -> None:
    flight = Flight(10)
    flight.deliver(10, 20)
    flight.deliver(20, 30)
    assert flight.split(10, 14)
    assert flight.acknowledge(10)
    assert (flight.mark, flight.has_gap) == (14, False)
    assert flight.acknowledge(20)
    assert (flight.mark, flight.has_gap, flight.outstanding) == (14, True, 1)
    assert not flight.split(20, 25)


@pytest.mark.parametrize("at", [10, 20, 21])
def test_a_span_is_split_within_itself(at: int) -> None:
    flight = Flight(10)
    flight.deliver(10, 20)
    with pytest.raises(ValueError, match="not within"):
        flight.split(10, at)


def test_an_acknowledgement_of_an_earlier_generation_moves_nothing() -> None:
    flights: Flights[str] = Flights()
    flights.restart(gained={"a": 5})
    flights.deliver("a", 5, 6)
    earlier = flights.generation
    flights.rewind()
    flights.deliver("a", 5, 6)
    assert not flights.acknowledge("a", 5, earlier)
    assert flights.due() == {}
