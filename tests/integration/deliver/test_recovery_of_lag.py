"""What a killed worker leaves is taken over soon: within its session and a little more."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstem.devstack import Stack
from tests.bench.recovery import measure

pytestmark = pytest.mark.stack
RECOVERY_S = 15.0


def test_a_successor_delivers_within_15_seconds_of_a_kill_and_nothing_is_lost_or_doubled(
    tmp_path: Path, stack: Stack
) -> None:
    [recovery] = measure(tmp_path, stack, kills=1)
    assert recovery < RECOVERY_S


def test_a_shorter_session_finds_a_dead_worker_sooner(
    tmp_path: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSTEM_KAFKA__SESSION_TIMEOUT_S", "2")
    [recovery] = measure(tmp_path, stack, kills=1)
    assert recovery < 8.0
