"""`mainstem run` as its users start it: a process of the installed command, to be asked, stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

import psutil

COMMAND = Path(sys.executable).parent / "mainstem"
DEADLINE_S = 120.0
LOOK_S = 0.1
ANSWER_S = 5.0


def until(holds: Callable[[], Any], *, within_s: float = DEADLINE_S, what: Callable[[], object] = lambda: "") -> Any:
    """Waits until it holds, and gives what it gave; `what` is asked when it did not in time."""
    deadline = monotonic() + within_s
    while not (found := holds()):
        assert monotonic() < deadline, f"not within {within_s:g} s: {what()}"
        sleep(LOOK_S)
    return found


def command(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = DEADLINE_S
) -> subprocess.CompletedProcess[str]:
    """Runs one command of `mainstem` in the project's folder to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


class BackboneProcess:
    """One backbone, which may have several lives. Use as a context manager: what still runs at its end is killed."""

    def __init__(self, folder: Path, port: int, *, env: Mapping[str, str] | None = None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._env = {"MAINSTEM_GATEWAY__PORT": str(port), **(env or {})}
        self._log = folder / f"run-{port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()
        if error is not None:
            print(self.log()[-8000:])  # noqa: T201 - shown by pytest beside what failed

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Self:
        """Begins a life, `env` added to its environment; what it says is added to the log."""
        self._env |= env or {}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [COMMAND, "run", *arguments],
                cwd=self._folder,
                env={**os.environ, **self._env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """An operator's command in the same project, with the same environment."""
        return command(self._folder, *arguments, env=self._env)

    def everybody(self) -> list[psutil.Process]:
        """The process and the streams' processes under it."""
        own = psutil.Process(self.pid)
        return [own, *own.children(recursive=True)]

    def send(self, number: signal.Signals) -> None:
        """To all of its processes at once, as nearly as can be."""
        for process in self.everybody():
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue

    def kill(self) -> None:
        """kill -9 of all of its processes."""
        process, everybody = self._process, [] if self.has_ended() else self.everybody()
        assert process is not None
        for each in everybody:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        process.wait(DEADLINE_S)
        psutil.wait_procs(everybody[1:], DEADLINE_S)
        self._process = None

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = DEADLINE_S) -> int:
        """Asks it to end; gives its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(within_s)
        self._process = None
        return code

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=ANSWER_S) as answer:  # noqa: S310 - http, our own
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def parts(self) -> dict[str, dict[str, Any]]:
        """What /readyz says of each part; nothing while nobody answers."""
        _, body = self.get("/readyz")
        found: dict[str, dict[str, Any]] = json.loads(body)["parts"] if body else {}
        return found

    def says(self, part: str, state: str, code: str | None = None) -> bool:
        """Whether /readyz says so of a part."""
        said = self.parts().get(part, {})
        return said.get("state") == state and (code is None or said.get("code") == code)

    def until_ready(self, *, within_s: float = DEADLINE_S) -> Self:
        until(lambda: self.get("/readyz")[0] == 200, within_s=within_s, what=self.parts)
        return self

    def metric(self, name: str) -> float | None:
        """One sample of /metrics, by its name with its labels."""
        lines = self.get("/metrics")[1].splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), None)

    def log(self) -> str:
        """Everything that all lives have said."""
        return self._log.read_text() if self._log.exists() else ""

    def log_lines(self) -> list[dict[str, Any]]:
        """What was logged; every line on its own has to be an object of JSON. The command's own talk is left out."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
