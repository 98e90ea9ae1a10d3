"""An operator's commands that are killed in the middle, and what is then still to be resumed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mainstem.failpoint import VARIABLE
from tests.backbone_process import COMMAND

ENDS_WITHIN_S = 120.0
_JOB = re.compile(r"^(?:redrive|drop) ([0-9a-f]{8})$", re.MULTILINE)


class Command:
    """One `mainstem dlq ...` that runs. `arms` is a failpoint at which it dies."""

    def __init__(self, folder: Path, log: Path, arguments: Sequence[str], arms: str = "") -> None:
        self._log = log
        self._stack = ExitStack()
        out = self._stack.enter_context(log.open("wb"))
        self._process = subprocess.Popen(
            [COMMAND, "dlq", *arguments, "-o", "json"],
            cwd=folder,
            env={**os.environ, VARIABLE: arms},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def kill(self) -> None:
        """kill -9; nothing where it has ended by itself."""
        self._process.kill()

    def ends(self) -> bool:
        """Waits for its end; whether it was killed. Raises RuntimeError when it failed in another way."""
        try:
            code = self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"a command does not end: {self.said()[-2000:]}") from None
        finally:
            self._stack.close()
        if code not in {0, 1, 4, -signal.SIGKILL}:
            raise RuntimeError(f"a command ended with {code}: {self.said()[-2000:]}")
        return code == -signal.SIGKILL

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    @property
    def job(self) -> str | None:
        """The id of the redrive or drop that it has begun."""
        found = _JOB.search(self.said())
        return found[1] if found else None

    def said(self) -> str:
        return self._log.read_text()


class Operator:
    """Starts commands, and remembers the job that a killed one has left."""

    def __init__(self, folder: Path, logs: Path, dlq: str) -> None:
        self._folder = folder
        self._logs = logs
        self._dlq = dlq
        self._commands: list[Command] = []
        self.left: str | None = None
        """A redrive that was killed and is to be resumed."""

    def redrive(self, *options: str, arms: str = "") -> Command:
        """All that waits, or on with the one that was left."""
        if self.left is not None:
            return self._start(["redrive", "--resume", self.left, "--execute", *options], arms)
        return self._start(["redrive", self._dlq, "--all", "--execute", "--force", *options], arms)

    def drop(self, ids: Sequence[str], arms: str = "") -> Command:
        named = [part for event_id in ids for part in ("--id", event_id)]
        return self._start(["drop", self._dlq, *named, "--execute", "--because", "chaos"], arms)

    def resume_drop(self, job: str) -> Command:
        return self._start(["drop", "--resume", job, "--execute"], "")

    def go(self) -> None:
        """Kills what still runs."""
        for command in self._commands:
            command.kill()

    def finish(self, command: Command) -> bool:
        """Waits for its end, and remembers what it leaves; whether it was killed."""
        was_killed = command.ends()
        self.left = command.job or self.left if was_killed else None
        return was_killed

    def _start(self, arguments: Sequence[str], arms: str) -> Command:
        log = self._logs / f"command-{len(self._commands) + 1:03}.log"
        self._commands.append(Command(self._folder, log, arguments, arms))
        return self._commands[-1]
