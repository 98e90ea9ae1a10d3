"""What a stream's worker tells: its state, its metrics, its counts and its log lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from mainstem.errors import MainstemError
from mainstem.event import Event
from mainstem.flow.dead_letter import Failure
from mainstem.observe import metrics
from mainstem.observe.board import Board, State
from mainstem.observe.bug import traceback_of
from mainstem.observe.logs import logger

log = logger("mainstem.process")

STEP = "process"
OUTCOMES = ("processed", "skipped", "duplicate", "dead_lettered")


class StreamReport:
    """One process of a stream: its side of the board, where it is `part`, the metrics and the log."""

    def __init__(
        self, stream: str, board: Board, changed: Callable[[], None] = lambda: None, *, part: str | None = None
    ) -> None:
        """`changed` is called when the state changes."""
        self._stream = stream
        self._part = part or stream
        self._board = board
        self._changed = changed
        self._log = log.bind(stream=stream)
        self._said: set[str] = set()
        self._outcomes = {name: metrics.records.labels(stream, STEP, name) for name in OUTCOMES}
        self.counts: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        board.report(self._part, State.STARTING)

    def done(self, outcomes: Mapping[str, int]) -> None:
        """So many records of a batch came to these outcomes, and are committed."""
        for outcome, number in outcomes.items():
            self._outcomes[outcome].inc(number)
            self.counts[outcome] += number

    def dead_letter(self, event: Event, failure: Failure) -> None:
        error = failure.error
        metrics.dead_letters.labels(self._stream, STEP, error.code.number).inc()
        self._log.warning(
            "dead letter",
            event_id=event.id,
            trace=event.trace,
            origin=str(event.origin),
            step=failure.step,
            code=error.code.number,
            cause=error.cause,
        )

    def progress(self) -> None:
        """A batch is done, or there is nothing to do."""
        self._said.clear()
        was = self._board.parts().get(self._part)
        self._board.progress(self._part)
        if was is None or was.state is not State.RUNNING:
            self._changed()

    def waits(self, error: MainstemError) -> None:
        """A dependency does not answer, or a target asked to wait."""
        self._say(State.WAITING, error, None)

    def pauses(self, error: MainstemError, bug: BaseException | None = None) -> None:
        """A person has to change something. Says it once, with the traceback when it is a bug."""
        self._say(State.PAUSED, error, bug)

    def stopped(self) -> None:
        self._board.report(self._part, State.STOPPED)
        self._changed()

    def _say(self, state: State, error: MainstemError, bug: BaseException | None) -> None:
        if self._board.report(self._part, state, error):
            self._changed()
        if error.cause in self._said:
            return
        self._said.add(error.cause)
        seen = {} if bug is None else {"traceback": traceback_of(bug)}
        self._log.warning(state.value, code=error.code.number, cause=error.cause, fix=error.fix, **seen)
