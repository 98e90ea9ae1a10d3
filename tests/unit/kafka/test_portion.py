"""How a batch fills up: in records, in bytes, and never with much more than it was sized for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.kafka.portion import STEP, Portion


@dataclass(frozen=True)
class Sized:
    """A message of that many bytes."""

    value: int
    name: bytes = b""
    head: bytes = b""

    def __len__(self) -> int:
        return self.value

    def key(self) -> bytes:
        return self.name

    def headers(self) -> list[tuple[str, bytes]] | None:
        return [("h", self.head)] if self.head else None


def slices(sizes: Sequence[int], max_records: int, max_bytes: int) -> Iterator[list[int]]:
    """What one batch takes of records of these sizes, slice by slice."""
    portion, at = Portion(max_records, max_bytes), 0
    while (room := portion.room()) and at < len(sizes):
        taken = list(sizes[at : at + room])
        portion.add([Sized(size) for size in taken])
        at += len(taken)
        yield taken


def test_small_records_fill_a_batch_in_few_slices() -> None:
    taken = list(slices([1_000] * 10_000, 5_000, 16 << 20))
    assert sum(map(len, taken)) == 5_000
    assert len(taken) <= 7


@pytest.mark.parametrize("size", [100_000, 1_000_000, 3_000_000])
def test_large_records_end_a_batch_at_its_bytes(size: int) -> None:
    taken = list(chain.from_iterable(slices([size] * 10_000, 5_000, 16 << 20)))
    assert len(taken) == (16 << 20) // size


def test_a_record_beyond_the_bound_is_a_batch_of_its_own() -> None:
    assert list(slices([5_000, 1], 100, 1_000)) == [[5_000]]


def test_keys_and_headers_count() -> None:
    portion = Portion(100, 1_000)
    portion.add([Sized(10, b"k" * 300, b"v" * 200)])
    assert portion.bytes == 10 + 300 + 1 + 200
    assert portion.room() == 0


@given(st.lists(st.integers(0, 5_000), max_size=300), st.integers(1, 50), st.integers(1, 20_000))
def test_no_batch_is_larger_than_its_bounds_by_more_than_one_jump_of_sizes(
    sizes: list[int], max_records: int, max_bytes: int
) -> None:
    taken = list(slices(sizes, max_records, max_bytes))
    flat = list(chain.from_iterable(taken))
    assert flat == sizes[: len(flat)]
    assert len(flat) <= max_records
    for number, one in enumerate(taken[1:], 1):
        before = list(chain.from_iterable(taken[:number]))
        assert len(one) <= STEP * len(before)
        assert sum(before) + len(one) * max(1, *before) <= max_bytes
