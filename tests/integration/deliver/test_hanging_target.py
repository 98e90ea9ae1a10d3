"""A target that hangs under full load: the worker's memory has a bound, and what waited is delivered, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstem.devstack import Stack
from tests.hanging_target import hanging_target

pytestmark = pytest.mark.stack
HANG_S = 20.0
BOUND_BYTES = 400_000_000
LEEWAY_BYTES = 10_000_000


@pytest.mark.parametrize("record_bytes", [1_000, 100_000, 950_000])
def test_memory_is_bounded_while_a_target_hangs_and_nothing_is_lost_or_doubled(
    tmp_path: Path, stack: Stack, free_port: int, record_bytes: int
) -> None:
    with hanging_target(tmp_path, stack, record_bytes, free_port) as scene:
        scene.hang(HANG_S)
        assert scene.peak(since=HANG_S / 2) <= scene.peak(before=HANG_S / 2) + LEEWAY_BYTES
        scene.release()
        assert scene.blobs.rows() == (scene.records, scene.records)
        assert scene.highest() < BOUND_BYTES
