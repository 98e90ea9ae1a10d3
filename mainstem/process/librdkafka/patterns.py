"""Topics behind a pattern. Faust takes patterns, and subscribes to nothing by them; here the conductor does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from re import Pattern
from typing import Any

import faust

KAFKAS_OWN = "__"


class Topic(faust.Topic):
    """As Faust's. The names behind its pattern are found for each of its readers anew."""

    def _clone_args(self) -> Mapping[str, Any]:
        args: Mapping[str, Any] = super()._clone_args()
        return {**args, "topics": []} if self.pattern else args


def behind(pattern: Pattern[str], names: Iterable[str], app: str) -> list[str]:
    """The topics whose whole name fits, in order: no prefix does, as in Kafka's own clients.

    Never Kafka's own, and never those that belong to this app (`<app id>-...`: changelogs, replies, dead letters):
    it would read what it writes.
    """
    own = (KAFKAS_OWN, f"{app}-")
    return sorted(name for name in names if pattern.fullmatch(name) and not name.startswith(own))
