"""The entry points: have a stack, share one, find one, stop one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from mainstem.devstack import containers
from mainstem.devstack.given import given_stack
from mainstem.devstack.local import ensure_local, find_local, stop_local
from mainstem.devstack.progress import SILENT, Progress
from mainstem.devstack.stack import Home, RunningStack, Stack, read_state
from mainstem.errors import Misconfigured

CHOICE: Final = "MAINSTEM_STACK"


def ensure(
    project: Path,
    progress: Progress = SILENT,
    *,
    ends_with_its_users: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> RunningStack:
    """A running stack for the project folder, started where it does not run yet; it stays until `stop`.

    The one that the environment names (`given_stack`) goes first; with MAINSTEM_STACK=docker it is made of containers,
    which end with this process; otherwise it consists of processes that keep everything in `<project>/.mainstem/`. Safe
    to call from several processes at once. Raises `Unreachable` (DOWNLOAD_FAILED, STACK_FAILED) and `Misconfigured`.
    """
    given = given_stack(environ)
    if given is not None:
        return RunningStack(given, started_here=False)
    if _wants_docker(environ):
        return containers.start(progress)
    return ensure_local(project, progress, ends_with_its_users=ends_with_its_users)


@contextmanager
def shared(
    project: Path, progress: Progress = SILENT, *, environ: Mapping[str, str] = os.environ
) -> Iterator[RunningStack]:
    """A running stack while the block runs. The last user that leaves stops it, if a user of this kind started it.

    So it also ends what a killed predecessor left running, and never takes the stack from under another user, nor one
    that `ensure` started to stay.
    """
    if given_stack(environ) is not None or _wants_docker(environ):
        running = ensure(project, progress, environ=environ)
        try:
            yield running
        finally:
            running.stop()
        return
    home = Home.of(project)
    home.folder.mkdir(parents=True, exist_ok=True)
    with (home.folder / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        running = ensure(project, progress, ends_with_its_users=True, environ=environ)
        try:
            yield running
        finally:
            _leave(users, project, progress)


def find(project: Path, environ: Mapping[str, str] = os.environ) -> Stack | None:
    """The project's running stack, or the one that the environment names; None where there is none. Starts nothing."""
    return given_stack(environ) or find_local(project)


def stop(project: Path, progress: Progress = SILENT) -> bool:
    """Stops the project's stack, leftovers of a crash included, and keeps its data; whether anything ran."""
    return stop_local(project, progress)


def _leave(users: IO[str], project: Path, progress: Progress) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    state = read_state(Home.of(project).state)
    if state is not None and state.ends_with_its_users:
        stop(project, progress)


def _wants_docker(environ: Mapping[str, str]) -> bool:
    choice = environ.get(CHOICE, "local")
    if choice not in {"local", "docker"}:
        raise Misconfigured(f"{CHOICE} is {choice!r}", fix=f"set {CHOICE} to local or docker")
    return choice == "docker"
