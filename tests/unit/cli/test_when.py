"""Times and places as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer

from mainstem.cli.when import parse_place, parse_time
from mainstem.event import Origin

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-2h", NOW - timedelta(hours=2)),
        ("-30m", NOW - timedelta(minutes=30)),
        ("-7d", NOW - timedelta(days=7)),
        ("2026-11-24T11:00:00Z", NOW - timedelta(hours=1)),
        ("2026-11-24T13:00:00.5+01:00", NOW + timedelta(seconds=0.5)),
    ],
)
def test_a_time_is_absolute_or_ago(text: str, expected: datetime) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize("text", ["2h", "-2w", "-h", "", "2026-11-24", "2026-11-24T12:00:00", "noon"])
def test_what_is_no_time_or_has_no_zone_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_time(text, NOW)


def test_a_place_is_topic_partition_offset() -> None:
    assert parse_place("payments.payment_settled.v1:2:1041") == Origin("payments.payment_settled.v1", 2, 1041)


@pytest.mark.parametrize(
    "text", ["", "-2h", "t:1", ":1:2", "t:x:2", "t:1:²", "t:1:" + "9" * 5000, "2026-11-24T12:00:00Z"]
)
def test_other_texts_are_no_place(text: str) -> None:
    assert parse_place(text) is None
