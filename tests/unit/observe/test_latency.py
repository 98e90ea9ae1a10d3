from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.observe import latency
from mainstem.observe.latency import Latencies


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.integers(0, 100))
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(seconds: list[float], percent: int) -> None:
    latencies = Latencies()
    latencies.add(seconds)
    found = latencies.quantile(percent / 100)
    assert found is not None
    wanted = max(1, ceil(percent * len(seconds) / 100))
    assert sum(value <= found for value in seconds) >= wanted
    assert sum(value < found for value in seconds) < wanted


def test_the_quantiles_of_a_hundred_are_what_anybody_would_say() -> None:
    latencies = Latencies()
    latencies.add(range(100, 0, -1))
    assert [latencies.quantile(q) for q in (0, 0.07, 0.5, 0.99, 1)] == [1, 7, 50, 99, 100]


def test_without_latencies_there_is_no_quantile() -> None:
    assert Latencies().quantile(0.5) is None


def test_only_the_last_ones_count(monkeypatch: pytest.MonkeyPatch) -> None:
    latencies = Latencies()
    latencies.add([1000.0] * latency.KEPT)
    latencies.add([1.0] * latency.KEPT)
    assert latencies.quantile(1) == 1.0
