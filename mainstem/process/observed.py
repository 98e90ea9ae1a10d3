"""What a stream's engine tells of itself, as metrics."""

from __future__ import annotations

from mainstem.observe import metrics
from mainstem.observe.logs import logger
from mainstem.process.librdkafka import Observer

log = logger("mainstem.process")


class StreamObserver(Observer):
    """One stream's transactions and batches."""

    def __init__(self, stream: str) -> None:
        self._log = log.bind(stream=stream)
        self._batch = metrics.stream_batch.labels(stream)
        self._open = metrics.stream_transaction.labels(stream)
        self._commit = metrics.stream_commit.labels(stream)
        self._aborts = metrics.stream_aborts.labels(stream)

    def delivered(self, partition: tuple[str, int], events: int) -> None:
        self._batch.observe(events)

    def committed(self, events: int, epoch_s: float, commit_s: float) -> None:
        self._open.observe(epoch_s)
        self._commit.observe(commit_s)

    def aborted(self, reason: str) -> None:
        self._aborts.inc()
        self._log.info("transaction aborted", reason=reason)
