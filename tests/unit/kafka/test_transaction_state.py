"""What a transactional producer does next: every answer to every call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.kafka.transaction_state import OPENED, Call, Next, Outcome, Standing, State, Told, heard

UNDER_WAY = [Call.BEGIN, Call.WRITE, Call.FLUSH, Call.OFFSETS]
ENDS = [Call.COMMIT, Call.ABORT]
STANDINGS = st.builds(Standing, st.sampled_from(State), st.sampled_from(Outcome), st.booleans())
LATE = Standing(State.OPEN, is_late=True)


@pytest.mark.parametrize("call", UNDER_WAY)
def test_a_call_that_succeeds_is_followed_by_the_next_one(call: Call) -> None:
    assert heard(OPENED, call, Told.DONE) == (OPENED, Next.GO_ON)


@given(STANDINGS, st.sampled_from(Call))
def test_a_retriable_error_changes_nothing_and_makes_the_same_call_again(now: Standing, call: Call) -> None:
    assert heard(now, call, Told.RETRIABLE) == (now, Next.AGAIN)


@given(STANDINGS, st.sampled_from(Call))
def test_one_who_is_fenced_stops_at_once(now: Standing, call: Call) -> None:
    after, step = heard(now, call, Told.FENCED)
    assert (after.state, step) == (State.FENCED, Next.STOP)


@pytest.mark.parametrize("call", UNDER_WAY)
def test_a_transaction_that_has_to_be_aborted_is_aborted(call: Call) -> None:
    assert heard(OPENED, call, Told.ABORTABLE) == (OPENED, Next.ABORT)


def test_after_an_abort_nothing_was_written_and_the_producer_is_ready() -> None:
    assert heard(OPENED, Call.ABORT, Told.DONE) == (Standing(State.READY), Next.STOP)


@pytest.mark.parametrize("told", [Told.ABORTABLE, Told.FATAL, Told.TIMED_OUT])
@pytest.mark.parametrize("call", ENDS)
def test_an_end_without_a_clear_answer_spends_the_instance(call: Call, told: Told) -> None:
    after, step = heard(OPENED, call, told)
    assert (after.state, step) == (State.SPENT, Next.STOP)


@pytest.mark.parametrize("told", [Told.ABORTABLE, Told.FATAL, Told.TIMED_OUT, Told.FENCED])
def test_only_a_commit_that_was_asked_for_can_have_an_unknown_outcome(told: Told) -> None:
    assert heard(OPENED, Call.COMMIT, told)[0].outcome is Outcome.UNKNOWN
    for call in [*UNDER_WAY, Call.ABORT]:
        assert heard(OPENED, call, told)[0].outcome is Outcome.NOTHING


def test_a_commit_whose_request_may_arrive_twice_is_a_commit_and_spends_the_instance() -> None:
    after, _ = heard(OPENED, Call.COMMIT, Told.LATE)
    assert (after.state, after.outcome) == (State.SPENT, Outcome.COMMITTED)


@pytest.mark.parametrize("end", ENDS)
def test_offsets_that_may_arrive_twice_spend_the_instance_at_the_transaction_s_end(end: Call) -> None:
    assert heard(OPENED, Call.OFFSETS, Told.LATE) == (LATE, Next.GO_ON)
    assert heard(LATE, end, Told.DONE)[0].state is State.SPENT


def test_records_that_take_their_time_spend_nothing() -> None:
    assert heard(OPENED, Call.FLUSH, Told.LATE) == (OPENED, Next.GO_ON)


@pytest.mark.parametrize("before", [State.FRESH, State.SPENT, State.FENCED])
def test_a_claim_makes_ready_and_one_that_fails_changes_nothing(before: State) -> None:
    now = Standing(before, Outcome.UNKNOWN)
    assert heard(now, Call.CLAIM, Told.DONE) == (Standing(State.READY), Next.STOP)
    for told in (Told.FATAL, Told.TIMED_OUT, Told.ABORTABLE):
        assert heard(now, Call.CLAIM, told) == (now, Next.STOP)
