"""What each part of a running backbone is doing: the one thing that /readyz, /api/v1/status and doctor look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from time import time
from typing import Any

from mainstem.observe import metrics


class State(StrEnum):
    """A part's state. RUNNING and STANDBY are ready."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    """A dependency does not answer; goes on by itself."""
    PAUSED = "paused"
    """A person has to change something; then it goes on by itself."""
    STANDBY = "standby"
    """Another worker has the work; this one has nothing to do."""
    STOPPED = "stopped"


READY = (State.RUNNING, State.STANDBY)


@dataclass(frozen=True)
class Status:
    """One part's last word. `since` and `progress_at` are seconds since the epoch."""

    state: State
    since: float
    reason: str | None = None
    code: str | None = None
    fix: str | None = None
    progress_at: float | None = None
    """When it last finished some work, or found that there was none."""


class Board:
    """The parts of this process, by name (`payments-to-accounting.journal`, `settle_payments`)."""

    def __init__(self) -> None:
        self._parts: dict[str, Status] = {}

    def report(self, part: str, state: State, error: Any = None) -> bool:
        """Sets a part's state; `error` is the MainstemError behind it. True when it is news."""
        before = self._parts.get(part)
        reason = None if error is None else error.cause
        if before is not None and (before.state, before.reason) == (state, reason):
            return False
        status = Status(
            state,
            time(),
            reason,
            None if error is None else error.code.number,
            None if error is None else error.fix,
            None if before is None else before.progress_at,
        )
        self._put(part, status)
        return True

    def progress(self, part: str) -> None:
        """Notes that the part has just got on with its work, which also makes it running."""
        before = self._parts.get(part)
        since = before.since if before is not None and before.state is State.RUNNING else time()
        self._put(part, Status(State.RUNNING, since, progress_at=time()))

    def adopt(self, parts: Mapping[str, Mapping[str, Any]]) -> None:
        """Takes over what a child process said of its parts."""
        for name, said in parts.items():
            self._put(name, Status(**{**said, "state": State(said["state"])}))

    def parts(self) -> dict[str, Status]:
        return dict(self._parts)

    def as_json(self) -> dict[str, dict[str, Any]]:
        return {name: asdict(status) for name, status in sorted(self._parts.items())}

    def is_ready(self) -> bool:
        """Every part is running or on stand-by; a board without parts is not ready."""
        return bool(self._parts) and all(status.state in READY for status in self._parts.values())

    def _put(self, part: str, status: Status) -> None:
        self._parts[part] = status
        metrics.state.labels(part).set(status.state is State.RUNNING)
