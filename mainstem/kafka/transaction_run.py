"""Makes the calls of one transaction, one after the other, as long as `transaction_state` says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from mainstem.kafka.transaction_calls import RETRY_BACKOFF_MS, Failed
from mainstem.kafka.transaction_state import Call, Next, Standing, Told, heard

LATE_S: Final = 0.8 * RETRY_BACKOFF_MS / 1000
"""The library repeats a request that got no answer no earlier: its backoff less 20 % jitter (rd_kafka_buf_retry)."""
SLICE_S: Final = 0.5
"""How long one call may block: its caller may want to leave meanwhile."""
PAUSE_S: Final = 0.02
"""Between two attempts: some errors are retriable, and come at once."""

Ask = Callable[[float], None]
"""Makes a call, for so many seconds at most, or raises Failed."""


@dataclass(frozen=True)
class Patience:
    """How long calls that say "again" are repeated."""

    seconds: float
    left: threading.Event = field(default_factory=threading.Event)
    """Nothing is repeated any more once this is set."""
    clock: Callable[[], float] = monotonic

    def deadline(self) -> float:
        return self.clock() + self.seconds

    def ends(self, deadline: float) -> bool:
        return self.left.is_set() or self.clock() > deadline


def perform(
    now: Standing, calls: Iterable[tuple[Call, Ask]], abort: Ask, patience: Patience
) -> tuple[Standing, Failed | None]:
    """Where that ends, and what failed: the first call, or the abort that was told of another owner."""
    deadline = patience.deadline()
    for call, ask in calls:
        now, step, failed = _settle(now, call, ask, patience, deadline)
        if step is Next.ABORT:
            return _abort(now, abort, failed, patience)
        if step is not Next.GO_ON:
            return now, failed
    return now, None


def _abort(now: Standing, abort: Ask, reason: Failed | None, patience: Patience) -> tuple[Standing, Failed | None]:
    now, _, failed = _settle(now, Call.ABORT, abort, patience, patience.deadline())
    return now, failed if failed is not None and failed.told is Told.FENCED else reason


def _settle(
    now: Standing, call: Call, ask: Ask, patience: Patience, deadline: float
) -> tuple[Standing, Next, Failed | None]:
    """Makes one call until it says something definite."""
    began = patience.clock()
    while True:
        # Even after its deadline a call is made once: a process that was asleep has to hear that it was fenced.
        is_last = patience.ends(deadline)
        told, failed = _ask(ask)
        if told is Told.DONE and patience.clock() - began >= LATE_S:
            told = Told.LATE
        if told is Told.RETRIABLE and is_last:
            told = Told.TIMED_OUT
        now, step = heard(now, call, told)
        if step is not Next.AGAIN:
            return now, step, failed
        patience.left.wait(PAUSE_S)


def _ask(ask: Ask) -> tuple[Told, Failed | None]:
    try:
        ask(SLICE_S)
    except Failed as failed:
        return failed.told, failed.with_traceback(None)  # whose frames would keep a replaced producer alive
    return Told.DONE, None
