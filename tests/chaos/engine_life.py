"""One process of a worker of the engine: from its start to its end, whoever brings that about."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

REPOSITORY = Path(__file__).parents[2]
SESSION_S = 3.0
"""After so long without a sign of life a worker has lost its partitions."""
NONE = frozenset[int]()
ENDS = "the worker ends, to be started again: "
LOST = ("were given to others without a word", ENDS)
"""What one says that was asleep for too long. Nobody tells it but Kafka."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Until when it is stopped, since when, and which partitions it had then."""

    since: float
    until: float
    places: frozenset[int]


class Life:
    """`w1.3` is the third life of the worker `w1`. Its log is a file of its own."""

    def __init__(self, worker: str, number: int, folder: Path, datadir: str, settings: Mapping[str, Any]) -> None:
        """`datadir` is where its tables on disk are: its predecessor's, if that one is dead."""
        self.worker = worker
        self.name = f"{worker}.{number}"
        self.sleep: Sleep | None = None
        self.is_struck = False
        """Whether its end is somebody's doing."""
        self.leaves_at: float | None = None
        """When it was asked to end."""
        self.fall = ""
        """How it is going to fall over by itself: `kill before commit`."""
        self._app = settings["app"]
        self._log = folder / f"{self.name}.log"
        self._arms, self._places = folder / f"{self.name}.arms", folder / f"{self.name}.places"
        engine = {**settings["engine"], "client": {"client.id": self.name}}
        own = {"member": worker, "datadir": str(folder / datadir), "engine": engine}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.chaos.engine_worker",
                    json.dumps({**settings, **own}),
                    self._arms,
                    self._places,
                ],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """Its exit code; None while it lives."""
        return self._process.poll()

    @property
    def is_up(self) -> bool:
        """Neither dead nor asleep nor about to go."""
        return self.sleep is None and not self.is_struck and self.leaves_at is None and self.code is None

    @property
    def places(self) -> frozenset[int]:
        """The partitions that it has, as it says itself: nothing once it is dead."""
        return frozenset(json.loads(self._places.read_text())) if self._places.exists() and self.code is None else NONE

    @property
    def is_stopped(self) -> bool:
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        """kill -9; it also ends one that sleeps."""
        self.is_struck = True
        self._process.kill()

    def leave(self) -> None:
        """Asks it to end."""
        self.leaves_at = monotonic()
        self._process.terminate()

    def stop(self, for_s: float) -> None:
        self._process.send_signal(signal.SIGSTOP)
        self.sleeps(for_s)

    def sleeps(self, for_s: float) -> None:
        """It has stopped."""
        self.sleep = Sleep(monotonic(), monotonic() + for_s, self.places)

    def wake(self) -> None:
        self.sleep = None
        self._process.send_signal(signal.SIGCONT)

    def arm(self, action: str, place: str, share: float) -> None:
        """Makes it `kill` or `stop` itself `place` (`before commit`), soon; see `worker_app.arm`."""
        self.fall = f"{action} {place}"
        self._arms.write_text(json.dumps([place, action, share]), encoding="utf-8")
        self._process.send_signal(signal.SIGHUP)

    def wait(self, within_s: float) -> int:
        """Its exit code. Raises TimeoutExpired."""
        return self._process.wait(within_s)

    @property
    def end(self) -> str:
        """Its exit code, and the reason where it gave one."""
        _, _, reason = self.log().rpartition(ENDS)
        because = reason.partition("\n")[0].partition(":")[0].replace(f"{self._app}-{self.worker}", "its id").strip()
        return f"{self.code} ({because})" if self.code == os.EX_TEMPFAIL else str(self.code)

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True, slots=True)
class Zombie:
    """A life that woke when others had its partitions, and where its log was then."""

    life: Life
    said: int

    @property
    def is_fenced(self) -> bool | None:
        """Whether it has noticed; None if it was killed, or asked to end, before it could."""
        words = self.life.log()[self.said :]
        if self.life.code == os.EX_TEMPFAIL or any(lost in words for lost in LOST):
            return True
        return None if self.life.is_struck or self.life.leaves_at is not None else False
