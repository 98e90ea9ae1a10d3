"""Topics behind a pattern. Faust takes patterns, and subscribes to nothing by them; here the conductor does."""

from __future__ import annotations

from collections.abc import Iterable
from re import Pattern

KAFKAS_OWN = "__"


def behind(pattern: Pattern[str], names: Iterable[str], app: str) -> list[str]:
    """The topics whose whole name fits, in order: no prefix does, as in Kafka's own clients.

    Never Kafka's own, and never those that belong to this app (`<app id>-...`: changelogs, replies, dead letters):
    it would read what it writes.
    """
    own = (KAFKAS_OWN, f"{app}-")
    return sorted(name for name in names if pattern.fullmatch(name) and not name.startswith(own))
