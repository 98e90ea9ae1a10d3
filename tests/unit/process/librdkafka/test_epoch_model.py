"""The epoch beside a model of what a worker does: whatever happens, no half of an event becomes visible."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.process.librdkafka.blame import Blame
from mainstem.process.librdkafka.epoch import Epoch, Pace, Phase, Told
from tests.thorough import examples


class Worker(RuleBasedStateMachine):
    """Events wait in a queue, begin, and are done or fail. Begun ones have outputs in the open transaction."""

    @initialize(most=st.integers(1, 12))
    def begin(self, most: int) -> None:
        self.most = most
        self.epoch = Epoch(most)
        self.queued = self.dropped = self.running = self.done = 0
        self.failed = False

    def drop(self) -> None:
        """What waits in a queue does not begin any more. It stays outstanding."""
        self.dropped, self.queued = self.dropped + self.queued, 0

    @precondition(lambda self: self.epoch.room > 0)
    @rule(events=st.integers(1, 5))
    def deliver(self, events: int) -> None:
        events = min(events, self.epoch.room)
        self.epoch.delivered(events)
        self.queued += events

    @precondition(lambda self: self.queued)
    @rule()
    def start(self) -> None:
        self.queued -= 1
        if self.epoch.takes_on:
            self.running += 1
        else:
            self.dropped += 1

    @precondition(lambda self: self.running)
    @rule()
    def finish(self) -> None:
        self.running -= 1
        self.done += 1

    @precondition(lambda self: self.running)
    @rule()
    def fail(self) -> None:
        self.running -= 1
        self.failed = True
        self.epoch.fail(self.done)
        self.drop()

    @rule()
    def its_time_is_over(self) -> None:
        self.epoch.close()

    @rule()
    def it_takes_too_long(self) -> None:
        waited_for_all = self.epoch.phase is Phase.CLOSING and self.epoch.takes_on
        assert self.epoch.cut(self.done) is waited_for_all
        if waited_for_all:
            self.drop()
            assert not self.epoch.takes_on

    @rule()
    def stop(self) -> None:
        if self.epoch.phase in {Phase.OPEN, Phase.CLOSING}:
            self.drop()
            self.epoch.settle()

    @rule()
    def lose_the_partitions(self) -> None:
        if self.epoch.phase in {Phase.OPEN, Phase.CLOSING} and not self.running:
            self.drop()
            self.epoch.lose()
            self.failed = True

    @precondition(lambda self: self.epoch.phase is Phase.CLOSING)
    @rule(gap=st.booleans())
    def look(self, gap: bool) -> None:
        has_gap = gap and self.dropped > 0
        outstanding = self.queued + self.dropped + self.running
        if not self.epoch.is_quiet(outstanding=outstanding, running=self.running):
            return
        phase = self.epoch.quiet(has_gap=has_gap)
        assert (phase is Phase.COMMITTING) is not (self.failed or has_gap)

    @precondition(lambda self: self.epoch.phase is Phase.COMMITTING)
    @rule(told=st.sampled_from(Told))
    def kafka_answers(self, told: Told) -> None:
        assert not self.running, "an event's outputs were cut in two"
        assert not self.failed, "a failed event's outputs were committed"
        phase = self.epoch.told(told)
        assert phase is {Told.COMMITTED: Phase.OPEN, Told.REFUSED: Phase.REWINDING, Told.LEAVE: Phase.ENDED}[told]
        if phase is Phase.OPEN:
            self.queued = self.dropped = self.done = 0

    @precondition(lambda self: self.epoch.phase is Phase.REWINDING)
    @rule()
    def rewind(self) -> None:
        assert not self.running
        self.epoch.rewound()
        self.queued = self.dropped = self.done = 0
        self.failed = False
        assert self.epoch.phase is Phase.OPEN

    @invariant()
    def an_epoch_is_never_larger_than_allowed(self) -> None:
        assert 1 <= self.epoch.size <= self.most
        assert self.epoch.room == 0 or self.epoch.phase is Phase.OPEN

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        if self.epoch.phase is Phase.ENDED:
            self.epoch.close()
            self.epoch.fail()
            self.epoch.lose()
            self.epoch.rewound()
            assert self.epoch.phase is Phase.ENDED


TestWorker = Worker.TestCase
TestWorker.settings = settings(max_examples=examples(200), stateful_step_count=50, deadline=None)


def test_nothing_is_delivered_while_the_gate_is_shut() -> None:
    epoch = Epoch(10)
    epoch.close()
    assert epoch.room == 0
    with pytest.raises(RuntimeError, match="although nothing is delivered"):
        epoch.delivered(1)


def test_a_settling_epoch_does_not_wait_for_events_that_have_not_begun() -> None:
    epoch = Epoch(10)
    epoch.delivered(5)
    epoch.settle()
    assert not epoch.is_quiet(outstanding=3, running=1)
    assert epoch.is_quiet(outstanding=2, running=0)


def test_n_poison_records_in_a_row_replay_few_events_and_the_epoch_grows_back() -> None:
    pace, replayed = Pace(10_000, 10_000), 0
    for _ in range(20):
        replayed += pace.size
        pace.failed(done_before=0)
    assert replayed < 10_000 + 20 * 20
    assert pace.size == 1
    for _ in range(14):
        pace.committed()
    assert pace.size == 10_000


def test_the_epoch_after_a_failure_ends_where_the_last_one_was_done() -> None:
    pace = Pace(10_000, 10_000)
    pace.failed(done_before=300)
    assert pace.size == 300


def test_a_worker_begins_with_small_epochs_that_grow_and_finds_how_many_slow_events_one_can_take() -> None:
    """Of a fifth of a second each, where a commit waits for two seconds before it is cut."""
    pace, most_done = Pace(10_000), 10
    sizes = []
    for _ in range(20):
        sizes.append(pace.size)
        if pace.size > most_done:
            pace.was_slow(most_done)
        else:
            pace.committed()
    assert sizes[0] == 250
    assert set(sizes[1:]) == {5, 10, 20}


def test_a_record_is_poison_when_it_failed_more_often_than_it_is_retried() -> None:
    blame: Blame[str] = Blame(retries=1)
    error = ValueError("odd")
    assert not blame.failed("a", 7, error)
    assert not blame
    assert blame.failed("a", 7, error)
    assert blame.poison("a", 7) is error
    assert blame.poison("a", 8) is None


def test_poison_is_forgotten_when_its_dead_letter_is_committed() -> None:
    blame: Blame[str] = Blame(retries=0)
    blame.failed("a", 7, ValueError())
    blame.committed({"a": 7, "b": 100})
    assert blame.poison("a", 7) is not None
    blame.committed({"a": 8})
    assert blame.poison("a", 7) is None
    assert not blame
