from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainstem.event import Partition
from mainstem.ingest.tail import tails

bounds = st.dictionaries(
    st.builds(Partition, st.just("t"), st.integers(0, 20)),
    st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=8,
)


@given(bounds, st.integers(0, 5000))
def test_tails_are_ends_within_bounds_and_as_many_as_there_are(
    given_bounds: dict[Partition, tuple[int, int]], count: int
) -> None:
    ranges = tails(given_bounds, count)

    held = sum(high - low for low, high in given_bounds.values())
    taken = sum(end - start for start, end in ranges.values())
    assert taken == min(count, held)
    for partition, (start, end) in ranges.items():
        low, high = given_bounds[partition]
        assert low <= start <= end == high


def test_a_short_partition_leaves_its_share_to_the_others() -> None:
    p0, p1 = Partition("t", 0), Partition("t", 1)

    assert tails({p0: (0, 10), p1: (0, 1000)}, 100) == {p0: (0, 10), p1: (910, 1000)}
