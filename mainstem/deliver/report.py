"""What a sink's worker tells: its state, its metrics and its log lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from mainstem.deliver.plan import SinkPlan
from mainstem.errors import TARGET_UNREACHABLE, Fenced, MainstemError, Unreachable
from mainstem.event import Event
from mainstem.flow.breaker import BreakerState
from mainstem.flow.item import Item
from mainstem.flow.settlement import Outcomes
from mainstem.observe import metrics
from mainstem.observe.board import Board, State
from mainstem.observe.bug import traceback_of
from mainstem.observe.latency import Latencies
from mainstem.observe.logs import logger

log = logger("mainstem.deliver")

SAMPLED = 50
"""Latencies taken of one batch: a large batch's records differ little, and each costs a reading of its headers."""


T = TypeVar("T")


def sample(records: Sequence[T]) -> Sequence[T]:
    """Some of a batch's, evenly spread."""
    return records[:: max(1, len(records) // SAMPLED)]


class Report:
    """One sink's side of the board, the metrics and the log."""

    def __init__(self, plan: SinkPlan, board: Board, latencies: Latencies) -> None:
        self._plan = plan
        self._board = board
        self._latencies = latencies
        self._log = log.bind(integration=plan.integration, sink=plan.sink)
        labels = (plan.integration, plan.sink)
        self._end_to_end = metrics.end_to_end.labels(*labels)
        self._write = metrics.sink_write.labels(*labels)
        self._whole = metrics.undecoded.labels(*labels)
        self._parked = metrics.parked_keys.labels(*labels)
        self._freshness = metrics.freshness.labels(*labels)
        self._outcomes = {
            outcome: metrics.records.labels(plan.integration, plan.sink, outcome)
            for outcome in ("delivered", "dead_lettered", "duplicate", "redriven")
        }
        board.report(plan.part, State.STARTING)

    def owns(self, partitions: int, parked: int) -> None:
        self._parked.set(parked)
        self._log.info("partitions taken over", partitions=partitions, parked_keys=parked)

    def wrote(self, items: Sequence[Item], seconds: float) -> None:
        """They are visible in the target, after a write of so many seconds."""
        self._write.observe(seconds)
        self._observe_latency([item.event for item in sample(items) if not item.is_redriven])

    def wrote_whole(self, count: int, sampled: Sequence[Event], seconds: float) -> None:
        """So many records are visible in the target, of which nobody has looked at more than the sampled ones."""
        self._write.observe(seconds)
        self._observe_latency(sampled)
        self._outcomes["delivered"].inc(count)
        self._whole.inc(count)

    def settled(self, outcomes: Outcomes, parked: int) -> None:
        """What has become of these records is durable; so many keys are parked now."""
        self._parked.set(parked)
        self._outcomes["delivered"].inc(len(outcomes.delivered))
        self._outcomes["dead_lettered"].inc(len(outcomes.letters))
        self._outcomes["duplicate"].inc(len(outcomes.dropped))
        self._outcomes["redriven"].inc(len(outcomes.released))
        for item, failure in outcomes.letters:
            metrics.dead_letters.labels(self._plan.integration, self._plan.sink, failure.error.code.number).inc()
            self._log.warning(
                "dead letter",
                event_id=item.event_id,
                trace=item.event.trace,
                origin=f"{item.partition.topic}:{item.partition.number}:{item.offset}",
                step=failure.step,
                code=failure.error.code.number,
                cause=failure.error.cause,
            )

    def _observe_latency(self, events: Sequence[Event]) -> None:
        now = datetime.now(UTC)
        ages = [(now - ingested).total_seconds() for event in events if (ingested := event.ingested_at) is not None]
        if not ages:
            return
        self._latencies.add(ages)
        self._freshness.set(min(ages))
        for age in ages:
            self._end_to_end.observe(age)

    def progress(self) -> None:
        self._board.progress(self._plan.part)

    def waits(self, error: MainstemError) -> None:
        if self._board.report(self._plan.part, State.WAITING, error):
            self._log.warning("waiting", code=error.code.number, cause=error.cause, fix=error.fix)

    def target(self, name: str, state: BreakerState) -> None:
        """The target answers, or does not any more."""
        metrics.target_open.labels(name).set(state is not BreakerState.CLOSED)

    def waits_for_target(self) -> None:
        """Nobody writes to the target for a while: it did not answer, perhaps to somebody else who writes to it."""
        status = self._board.parts().get(self._plan.part)
        if status is None or status.state is not State.WAITING:
            self.waits(Unreachable(f"the target of {self._plan.part} does not answer", code=TARGET_UNREACHABLE))

    def pauses(self, error: MainstemError, bug: BaseException | None = None) -> None:
        """Says it once, with the traceback when it is a bug; it is tried again and again."""
        if self._board.report(self._plan.part, State.PAUSED, error):
            why = bug or error.__cause__
            seen = {} if why is None else {"traceback": traceback_of(why)}
            self._log.error("paused", code=error.code.number, cause=error.cause, fix=error.fix, **seen)

    def fenced(self, error: Fenced) -> None:
        self._log.warning("fenced", cause=error.cause, partitions=sorted(error.partitions))

    def failed(self, error: MainstemError) -> None:
        self._board.report(self._plan.part, State.WAITING, error)
        self._log.warning("consumer error", code=error.code.number, cause=error.cause)

    def stopped(self) -> None:
        self._board.report(self._plan.part, State.STOPPED)
        self._log.info("stopped")
