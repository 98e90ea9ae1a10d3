"""What a sink's worker tells: its state, its metrics and its log lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mainstem.deliver.plan import SinkPlan
from mainstem.errors import Fenced, MainstemError
from mainstem.flow.item import Item
from mainstem.flow.settlement import Settlement
from mainstem.observe import metrics
from mainstem.observe.board import Board, State
from mainstem.observe.bug import traceback_of
from mainstem.observe.latency import Latencies
from mainstem.observe.logs import logger

log = logger("mainstem.deliver")

SAMPLED = 200
"""Latencies taken of one batch: a large batch's records differ little, and each costs a reading of its headers."""


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

    def settled(self, settlement: Settlement, seconds: float, parked: int) -> None:
        """A batch is durable in the target."""
        self._write.observe(seconds)
        self._parked.set(parked)
        self._outcomes["delivered"].inc(len(settlement.delivered))
        self._outcomes["dead_lettered"].inc(len(settlement.letters))
        self._outcomes["duplicate"].inc(len(settlement.dropped))
        self._outcomes["redriven"].inc(len(settlement.released))
        self._observe_latency([item for item in settlement.delivered if not item.is_redriven])
        for item, failure in settlement.letters:
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

    def _observe_latency(self, items: Sequence[Item]) -> None:
        now = datetime.now(UTC)
        sampled = items[:: max(1, len(items) // SAMPLED)]
        ages = [
            (now - ingested).total_seconds() for item in sampled if (ingested := item.event.ingested_at) is not None
        ]
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
