"""One replay and the processes that carry it out, one after the other: each may be killed, or stopped and woken."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

from mainstem.failpoint import VARIABLE
from mainstem.recover.replay import Job
from tests.backbone_process import COMMAND, until

ENDS_WITHIN_S = 90.0

Env = Callable[[str], dict[str, str]]
"""The environment of a life whose sessions in the database are called so."""


class Life:
    """One process of `mainstem replay run --resume`."""

    def __init__(self, writer: str, folder: Path, job_id: str, env: dict[str, str], log: IO[bytes]) -> None:
        self.writer = writer
        self.process = subprocess.Popen(
            [COMMAND, "replay", "run", "--resume", job_id, "--execute"],
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def send(self, number: signal.Signals) -> bool:
        """False when it has ended already."""
        if self.has_ended():
            return False
        self.process.send_signal(number)
        return True

    def end(self) -> None:
        """kill -9, if it is still there."""
        if not self.has_ended():
            self.process.kill()
            self.process.wait(ENDS_WITHIN_S)


class Replay:
    """A planned replay, under a name of its own. Use as a context manager: what still runs at its end is killed."""

    def __init__(self, name: str, job: Job, folder: Path, env: Env) -> None:
        self.name = name
        self.job = job
        self.woken: list[str] = []
        """The lives that slept until another one had the replay, and then woke."""
        self.gave_up: list[str] = []
        """The lives that did not survive what they should have survived."""
        self._folder = folder
        self._env = env
        self._lives: list[Life] = []
        self._log = (folder / f"{name}.log").open("ab")

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        for life in self._lives:
            life.end()
        self._log.close()

    def live(self, arms: str = "") -> Life:
        """Begins a life, which may end at a failpoint: `replay.before_commit=kill#2`."""
        writer = f"{self.name}.{len(self._lives) + 1}"
        env = {**self._env(writer), VARIABLE: arms}
        self._lives.append(Life(writer, self._folder, self.job.id, env, self._log))
        return self._lives[-1]

    def wake(self, zombie: Life, *, has_heir: bool) -> None:
        """Lets one go on; where another life has its replay, it has to leave by itself."""
        if has_heir:
            self.woken.append(zombie.writer)
        zombie.send(signal.SIGCONT)
        until(zombie.has_ended, within_s=ENDS_WITHIN_S, what=self.last_words)

    def last_words(self) -> str:
        """For a person: what its processes said in the end."""
        return Path(self._log.name).read_text(errors="replace")[-3000:]
