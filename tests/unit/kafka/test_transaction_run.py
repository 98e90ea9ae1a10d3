"""One transaction's calls: repeated, timed, broken off and aborted as the machine says."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from confluent_kafka import KafkaError

from mainstem.kafka.transaction_calls import Failed
from mainstem.kafka.transaction_run import LATE_S, Ask, Patience, perform
from mainstem.kafka.transaction_state import OPENED, Call, Outcome, State, Told

DEADLINE_S = 5.0


@dataclass
class Library:
    """Answers as it is told, one after the other; each answer takes `takes_s` on its own clock."""

    takes_s: float = 0.01
    now_s: float = 0.0
    made: list[Call] = field(default_factory=list)

    def call(self, call: Call, *answers: Told) -> tuple[Call, Ask]:
        left = iter(answers)

        def ask(_within_s: float) -> None:
            self.made.append(call)
            self.now_s += self.takes_s
            told = next(left)
            if told is not Told.DONE:
                raise Failed(call, told, KafkaError(KafkaError._FAIL))

        return call, ask

    def patience(self, left: threading.Event | None = None) -> Patience:
        return Patience(DEADLINE_S, left or threading.Event(), lambda: self.now_s)


def test_a_retriable_call_is_made_again_until_it_succeeds() -> None:
    library = Library()
    calls = [library.call(Call.COMMIT, Told.RETRIABLE, Told.RETRIABLE, Told.DONE)]
    standing, failed = perform(OPENED, calls, library.call(Call.ABORT)[1], library.patience())
    assert (standing.state, standing.outcome, failed) == (State.READY, Outcome.COMMITTED, None)
    assert library.made == [Call.COMMIT] * 3


def test_a_commit_that_took_so_long_that_it_may_have_been_sent_twice_spends_the_instance() -> None:
    library = Library(takes_s=LATE_S)
    standing, _ = perform(
        OPENED, [library.call(Call.COMMIT, Told.DONE)], library.call(Call.ABORT)[1], library.patience()
    )
    assert (standing.state, standing.outcome) == (State.SPENT, Outcome.COMMITTED)


def test_a_call_that_says_again_beyond_its_deadline_is_given_up() -> None:
    library = Library(takes_s=DEADLINE_S * 0.6)
    calls = [library.call(Call.COMMIT, *[Told.RETRIABLE] * 9)]
    standing, failed = perform(OPENED, calls, library.call(Call.ABORT)[1], library.patience())
    assert (standing.state, standing.outcome) == (State.SPENT, Outcome.UNKNOWN)
    assert failed is not None
    assert len(library.made) == 3


def test_one_who_slept_beyond_the_deadline_still_hears_that_it_was_fenced() -> None:
    library = Library(takes_s=10 * DEADLINE_S)
    calls = [library.call(Call.COMMIT, Told.RETRIABLE, Told.FENCED)]
    standing, _ = perform(OPENED, calls, library.call(Call.ABORT)[1], library.patience())
    assert standing.state is State.FENCED


def test_one_who_leaves_repeats_nothing() -> None:
    left = threading.Event()
    left.set()
    library = Library()
    calls = [library.call(Call.FLUSH, *[Told.RETRIABLE] * 9), library.call(Call.COMMIT, Told.DONE)]
    standing, _ = perform(OPENED, calls, library.call(Call.ABORT)[1], library.patience(left))
    assert (standing.state, standing.outcome) == (State.SPENT, Outcome.NOTHING)
    assert library.made == [Call.FLUSH]


def test_a_transaction_that_failed_is_aborted_and_its_commit_never_asked_for() -> None:
    library = Library()
    calls = [library.call(Call.FLUSH, Told.ABORTABLE), library.call(Call.COMMIT, Told.DONE)]
    standing, failed = perform(OPENED, calls, library.call(Call.ABORT, Told.DONE)[1], library.patience())
    assert (standing.state, standing.outcome) == (State.READY, Outcome.NOTHING)
    assert failed is not None and failed.call is Call.FLUSH
    assert library.made == [Call.FLUSH, Call.ABORT]


def test_an_abort_that_is_refused_to_a_zombie_is_what_it_is_told() -> None:
    library = Library()
    abort = library.call(Call.ABORT, Told.FENCED)[1]
    standing, failed = perform(OPENED, [library.call(Call.FLUSH, Told.ABORTABLE)], abort, library.patience())
    assert standing.state is State.FENCED
    assert failed is not None and failed.call is Call.ABORT
