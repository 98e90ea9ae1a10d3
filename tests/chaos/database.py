"""A PostgreSQL server of the chaos tests' own: it is killed, and nobody else's data goes with it."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self

import psutil
import psycopg

from mainstem.devstack import postgres
from mainstem.devstack.artifacts import cache_folder
from mainstem.devstack.launch import Launch
from mainstem.devstack.plan import ours
from mainstem.devstack.process import end, seen
from mainstem.devstack.progress import SILENT
from mainstem.devstack.stack import Home, Part
from tests.backbone_process import until

GONE_WITHIN_S = 30.0
CLIENTS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


class Database:
    """One server and its data, which outlive its kills. Use as a context manager; `start` begins each life."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        home = Home(folder)
        self.port = port
        self._pid = 0
        self._launch = Launch(
            home=home,
            ports={Part.POSTGRES: port},
            password=postgres.password(home),
            cache=cache_folder(),
            progress=SILENT,
            cancelled=Event(),
        )

    def __enter__(self) -> Self:
        self._clear()  # what a run before ours left, if it was killed
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._clear()

    def start(self) -> None:
        """Returns when it answers: crash recovery is over."""
        self._pid = postgres.start(self._launch)

    def dsn(self, database: str = "postgres", *, port: int | None = None, writer: str = "") -> str:
        """A superuser's; through a proxy with its `port`. The sessions know their `writer` as `chaos.writer`."""
        dsn = postgres.dsn(port or self.port, self._launch.password, database)
        return f"{dsn}?options=-c%20chaos.writer%3D{writer}" if writer else dsn

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A session that commits by itself. Raises psycopg.OperationalError while the server is down."""
        return psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=2)

    def kill_backend(self, database: str, dice: random.Random) -> bool:
        """kill -9 of the process that serves one client: the server ends all sessions and recovers as after a crash.

        False where there was none.
        """
        try:
            with self.connect(database) as connection:
                pids = [pid for (pid,) in connection.execute(CLIENTS)]
            os.kill(dice.choice(pids), signal.SIGKILL)
        except (psycopg.OperationalError, IndexError, ProcessLookupError):
            return False  # it is down just now, or nobody is there
        return True

    def kill(self) -> None:
        """kill -9 of the server; returns when none of its processes is left, so that it can be started again."""
        server = psutil.Process(self._pid)
        workers = server.children(recursive=True)
        server.kill()
        server.wait(GONE_WITHIN_S)
        _, left = psutil.wait_procs(workers, 1.0)
        for worker in left:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        until(lambda: not any(map(psutil.Process.is_running, left)), within_s=GONE_WITHIN_S)

    def answers(self) -> bool:
        """Whether it takes connections: not while it recovers."""
        return postgres.answers(self.dsn())

    def _clear(self) -> None:
        end(ours(seen(), self._launch.home)[Part.POSTGRES])
