"""Processes of this machine: started so that they outlive us, seen, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any

from mainstem.devstack.extras import load
from mainstem.devstack.plan import Seen

PATIENCE_S = 15.0
"""How long a process may take to end by itself."""
LOOK_EVERY_S = 0.03


def spawn(command: Sequence[str | Path], log: Path, environ: Mapping[str, str]) -> int:
    """Starts a process in a session of its own (no Ctrl-C of our terminal reaches it) and returns its id.

    Its output goes to `log`; the run before stays beside it as `<log>.1`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))
    log.touch(mode=0o600)
    words = [str(word) for word in command]
    return os.posix_spawn(
        words[0],
        words,
        environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_APPEND, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT],
    )


def run(command: Sequence[str | Path], log: Path) -> bool:
    """Runs a command to its end with its output in `log`; whether it succeeded."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        done = subprocess.run(  # noqa: S603 - ours
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(), check=False
        )
    return done.returncode == 0


def environment(**more: str) -> dict[str, str]:
    """A small one: what a server finds in it (a proxy, an option for all JVMs, a secret) must not vary by caller."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", **more}


def is_alive(pid: int) -> bool:
    """Whether it runs. One that has ended and waits for its parent does not; one whose last threads still end does."""
    psutil = load("psutil")
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def seen() -> list[Seen]:
    """Every process whose command line may be read."""
    psutil = load("psutil")
    return [
        Seen(
            pid=process.pid,
            parent=process.info["ppid"] or 0,
            name=process.info["name"] or "",
            command=tuple(process.info["cmdline"] or ()),
            folder=_folder(process) if process.info["name"] == "postgres" else None,
        )
        for process in psutil.process_iter(["ppid", "name", "cmdline"])
    ]


def _folder(process: Any) -> Path | None:
    psutil = load("psutil")
    try:
        return Path(process.cwd())
    except psutil.Error:
        return None


def end(pids: Iterable[int], patience_s: float = PATIENCE_S) -> None:
    """Asks the processes to end, all at once, and kills those (with their groups) that have not after `patience_s`."""
    psutil = load("psutil")
    asked = set(pids)
    for pid in asked:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            # PostgreSQL's SIGTERM waits for its clients to leave; its SIGINT sends them away.
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
    for pid in _left(asked, patience_s):
        _kill(pid)
    _left(asked, patience_s)


def _left(pids: Set[int], patience_s: float) -> Set[int]:
    """Those that still run after `patience_s`; a dead child that its parent, another process, keeps does not count."""
    give_up_at = time.monotonic() + patience_s
    while (left := {pid for pid in pids if is_alive(pid)}) and time.monotonic() < give_up_at:
        time.sleep(LOOK_EVERY_S)
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return left


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
