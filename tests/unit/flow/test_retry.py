from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mainstem.flow.retry import RetryPolicy

POLICIES = st.builds(
    RetryPolicy, attempts=st.integers(1, 1000), first_s=st.floats(1e-6, 60), max_s=st.floats(60, 31_536_000)
)


@given(POLICIES, st.integers(1, 100_000))
def test_a_pause_is_never_longer_than_the_policy_allows(policy: RetryPolicy, failures: int) -> None:
    assert 0 <= policy.pause(failures) <= policy.max_s


@given(POLICIES, st.integers(1, 100_000), st.floats(-10, 1e6))
def test_the_targets_own_wish_is_waited_for_and_never_shortened(
    policy: RetryPolicy, failures: int, wish_s: float
) -> None:
    assert policy.pause(failures, wish_s=wish_s) >= max(wish_s, 0)
    assert policy.pause(failures, wish_s=wish_s) <= max(wish_s, 0) + policy.max_s / 10


@given(POLICIES)
def test_the_ceiling_doubles_up_to_the_longest_pause(policy: RetryPolicy) -> None:
    ceilings = [policy.pause(n, draw=lambda _low, high: high) for n in range(1, 41)]
    assert ceilings[0] == policy.first_s
    assert all(later == min(policy.max_s, earlier * 2) for earlier, later in pairwise(ceilings))


@given(POLICIES, st.integers(0, 2000))
def test_attempts_are_counted_with_the_first(policy: RetryPolicy, failures: int) -> None:
    assert policy.is_exhausted(failures) == (failures >= policy.attempts)


def test_workers_that_failed_together_do_not_come_back_together() -> None:
    assert len({RetryPolicy().pause(8) for _ in range(100)}) > 90
