"""What starting any part needs: where, on which ports, who is told, and what a failure looks like."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from mainstem.devstack.fetch import Cancelled
from mainstem.devstack.process import LOOK_EVERY_S, is_alive
from mainstem.devstack.progress import Progress
from mainstem.devstack.stack import Home, Part
from mainstem.errors import STACK_FAILED, Unreachable

SHOWN_CHARS = 300
TELLING = ("FATAL", "ERROR", "Exception", "Error:", "error:")


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a stack; its parts share it, each in a thread of its own."""

    home: Home
    ports: Mapping[str, int]
    password: str = field(repr=False)
    cache: Path
    progress: Progress
    cancelled: Event
    """Set when another part failed or the user interrupted; every wait ends then."""

    def wait(self, part: Part, pid: int, ready: Callable[[], bool], deadline_s: float) -> None:
        """Returns when the part is ready. Raises `Unreachable` (STACK_FAILED) when it ended or takes too long."""
        give_up_at = time.monotonic() + deadline_s
        while not ready():
            if not is_alive(pid):
                raise failed(part, "ended while it was starting", self.home.log(part))
            if time.monotonic() > give_up_at:
                raise failed(part, f"is not ready after {deadline_s:.0f} s", self.home.log(part))
            if self.cancelled.wait(LOOK_EVERY_S):
                raise Cancelled


def failed(part: Part, what: str, log: Path) -> Unreachable:
    """The error that names the log file and quotes the line in it that tells most."""
    line = telling_line(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else ""
    return Unreachable(f"{part} {what}" + (f": {line}" if line else ""), code=STACK_FAILED, fix=f"read {log}")


def telling_line(log: str) -> str:
    """The last line that reports an error, or else the last one, cut to a length that a terminal shows."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    # A stack trace says what failed in its head, not in the frames ("at ...") below.
    heads = [line for line in lines if not line.startswith(("at ", "..."))]
    errors = [line for line in heads if any(word in line for word in TELLING)]
    return (errors or heads or lines or [""])[-1][:SHOWN_CHARS]
