"""What depends on the session fits the session."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.kafka.membership import member_settings


@pytest.mark.parametrize(
    ("given", "heartbeat_ms", "poll_ms"),
    [
        ({}, 1_000, 300_000),
        ({"session.timeout.ms": "1500"}, 500, 300_000),
        ({"session.timeout.ms": "1800000"}, 1_000, 1_800_000),
        ({"session.timeout.ms": 1_000, "max.poll.interval.ms": 500}, 333, 1_000),
    ],
)
def test_three_heartbeats_fit_a_session_and_a_session_between_two_polls(
    given: dict[str, Any], heartbeat_ms: int, poll_ms: int
) -> None:
    settings = member_settings(given, "a-group")
    assert (settings["heartbeat.interval.ms"], settings["max.poll.interval.ms"]) == (heartbeat_ms, poll_ms)
    assert settings["group.id"] == "a-group"


def test_a_position_that_is_gone_is_never_jumped_over() -> None:
    assert member_settings({}, "a-group")["auto.offset.reset"] == "error"
