"""Times and places as an operator types them: RFC 3339 or `-2h`, and `topic:partition:offset`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

from mainstem.event import Origin
from mainstem.recover.letters import parse_origin

_AGO = re.compile(r"-(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_time(text: str, now: datetime | None = None) -> datetime:
    """A point in time. Raises typer.BadParameter for what is none, or has no zone."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither an RFC 3339 time nor like -2h (s, m, h, d)") from None
    if time.tzinfo is None:
        raise typer.BadParameter(f"{text!r} does not say its zone: end it in Z or +01:00")
    return time.astimezone(UTC)


def parse_place(text: str) -> Origin | None:
    """A place in Kafka, or None for a text that has not its form."""
    try:
        return parse_origin(text)
    except ValueError:
        return None
