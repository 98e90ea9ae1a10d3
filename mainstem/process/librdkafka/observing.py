"""What the engine tells about itself, to whoever makes metrics of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import ParamSpec

from faust.types import TP

P = ParamSpec("P")
log = logging.getLogger(__name__)


class Observer:
    """Overrides what it wants to hear; `EngineOptions(observer=...)`.

    All but `stalled` is called in the event loop, between events: nothing here may block. What raises is logged, once
    for each method, and disturbs nobody.
    """

    def fetched(self, partition: TP, events: int) -> None:
        """So many records came from Kafka together."""

    def delivered(self, partition: TP, events: int) -> None:
        """So many go to the agents or, as one batch, to a step."""

    def committed(self, events: int, epoch_s: float, commit_s: float) -> None:
        """So many are done for good. `epoch_s`: since the first of them was delivered. `commit_s`: of which Kafka took
        so long for the commit."""

    def aborted(self, reason: str) -> None:
        """Exactly-once: a transaction was given up, and its events are done again."""

    def dead_lettered(self, partition: TP, offset: int, error: BaseException) -> None:
        """A record was given up. In exactly-once mode its dead letter is as good as the next commit."""

    def late(self, partition: TP, offset: int) -> None:
        """An event came too late for a join of streams, and joined nothing."""

    def lagging(self, behind: Mapping[TP, int]) -> None:
        """Every few seconds: how many offsets of each partition are not committed, markers of transactions included."""

    def restoring(self, left: Mapping[TP, int]) -> None:
        """Every second while tables are restored, and once when they are: the offsets left of each changelog."""

    def stalled(self, reason: str) -> None:
        """The watchdog ends the process. Called in its thread."""


class Tell:
    """Calls an observer, and lives through what it raises: `tell(observer.committed, 7, 0.1, 0.02)`."""

    def __init__(self) -> None:
        self._failed: set[str] = set()

    def __call__(self, method: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:  # somebody else's code, on which no event may depend
            name = getattr(method, "__qualname__", repr(method))
            if name not in self._failed:
                self._failed.add(name)
                log.warning("an observer failed, which is not said again: %s", name, exc_info=True)
