"""The stack of one project folder, as processes of this machine: found, completed, started, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Final

from mainstem.devstack import kafka, postgres, registry
from mainstem.devstack.artifacts import cache_folder
from mainstem.devstack.launch import Launch
from mainstem.devstack.lock import exclusive
from mainstem.devstack.plan import Plan, ours, plan
from mainstem.devstack.ports import HOST, choose, is_free
from mainstem.devstack.process import LOOK_EVERY_S, end, seen
from mainstem.devstack.progress import SILENT, Progress
from mainstem.devstack.stack import (
    REGISTRY_PATH,
    Home,
    Part,
    RunningStack,
    Stack,
    State,
    read_state,
    write_state,
)

ANSWERS_WITHIN_S: Final = 10.0

PORTS: Final[Mapping[str, Part]] = {
    Part.KAFKA: Part.KAFKA,
    kafka.CONTROLLER: Part.KAFKA,
    Part.REGISTRY: Part.REGISTRY,
    registry.MANAGEMENT: Part.REGISTRY,
    Part.POSTGRES: Part.POSTGRES,
}
"""Each port's name, and the part that listens on it."""


def ensure_local(project: Path, progress: Progress, *, ends_with_its_users: bool) -> RunningStack:
    """The project's stack, answering: what runs and answers is kept, leftovers are stopped, the rest is started.

    Data is kept in any case. Raises `Unreachable` (DOWNLOAD_FAILED, STACK_FAILED) and then leaves running what ran.
    """
    home = Home.of(project)
    with exclusive(home.folder / "stack.lock", "Waiting for another start in this folder", progress):
        before = read_state(home.state)
        alive = ours(seen(), home)
        todo = plan(before, alive, _answering(before, alive))
        asked = ends_with_its_users and (not todo.keep or before is None or before.ends_with_its_users)
        if before is not None and not todo.start:
            write_state(home.state, replace(before, ends_with_its_users=asked))
            return RunningStack(before.stack, started_here=False, end=lambda: _stop(project))
        end(todo.stop)
        launch = _launch(home, before, todo, progress)
        noted = {} if before is None else before.stack.pids
        pids = {part: noted[part] for part in todo.keep} | _start(launch, todo, noted)
        stack = _stack(launch, pids)
        write_state(home.state, State(stack, launch.ports, asked))
        return RunningStack(stack, started_here=not todo.keep, end=lambda: _stop(project))


def find_local(project: Path) -> Stack | None:
    """The project's stack if all its processes are there (whether they answer is not asked); starts nothing."""
    home = Home.of(project)
    state = read_state(home.state)
    if state is None or set(state.stack.pids) != set(Part):
        return None
    alive = ours(seen(), home)
    return state.stack if all(pid in alive[part] for part, pid in state.stack.pids.items()) else None


def stop_local(project: Path, progress: Progress = SILENT) -> bool:
    """Stops every process of the project's stack and keeps its data and ports; whether there was any."""
    home = Home.of(project)
    if not home.folder.exists():
        return False
    with exclusive(home.folder / "stack.lock", "Waiting for another start in this folder", progress):
        pids = {pid for found in ours(seen(), home).values() for pid in found}
        if pids:
            with progress.step("Stopping the development stack"):
                end(pids)
        state = read_state(home.state)
        if state is not None:
            write_state(home.state, replace(state, stack=replace(state.stack, pids={})))
        return bool(pids)


def _stop(project: Path) -> None:
    stop_local(project)


def _answering(state: State | None, alive: Mapping[Part, frozenset[int]]) -> set[Part]:
    if state is None:
        return set()
    probes: dict[Part, Callable[[], bool]] = {
        Part.KAFKA: lambda: kafka.answers(state.ports[Part.KAFKA]),
        Part.REGISTRY: lambda: registry.answers(state.ports[Part.REGISTRY]),
        Part.POSTGRES: lambda: postgres.answers(state.stack.postgres_dsn),
    }
    asked = {part for part in probes if state.stack.pids.get(part) in alive[part]}
    if Part.POSTGRES not in asked:
        # It would wait seconds for its database before it says no.
        asked.discard(Part.REGISTRY)
    return {part for part in asked if _in_time(probes[part])}


def _in_time(answers: Callable[[], bool]) -> bool:
    """A busy machine's server gets some seconds before it counts as broken: it may have other users."""
    give_up_at = time.monotonic() + ANSWERS_WITHIN_S
    while not answers():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _launch(home: Home, before: State | None, todo: Plan, progress: Progress) -> Launch:
    former = {} if before is None else before.ports
    in_use = {former[name] for name, part in PORTS.items() if part in todo.keep}
    return Launch(
        home=home,
        ports=choose(PORTS, former, str(home.folder), lambda port: port in in_use or is_free(port)),
        password=postgres.password(home),
        cache=cache_folder(),
        progress=progress,
        cancelled=Event(),
    )


def _start(launch: Launch, todo: Plan, noted: Mapping[Part, int]) -> dict[Part, int]:
    """Starts the missing parts at the same time; the registry downloads meanwhile and then waits for PostgreSQL."""
    started: dict[Part, Future[int]] = {}
    with ThreadPoolExecutor(len(Part)) as pool:
        if Part.POSTGRES in todo.start:
            started[Part.POSTGRES] = pool.submit(postgres.start, launch)
        if Part.KAFKA in todo.start:
            started[Part.KAFKA] = pool.submit(kafka.start, launch)
        if Part.REGISTRY in todo.start:
            database = started.get(Part.POSTGRES) or _done(noted[Part.POSTGRES])
            started[Part.REGISTRY] = pool.submit(registry.start, launch, database)
        try:
            for finished in as_completed(started.values()):
                finished.result()
        except BaseException:
            launch.cancelled.set()
            pool.shutdown()
            found = ours(seen(), launch.home)
            end(pid for part in todo.start for pid in found[part])
            raise
    return {part: future.result() for part, future in started.items()}


def _done(pid: int) -> Future[int]:
    future: Future[int] = Future()
    future.set_result(pid)
    return future


def _stack(launch: Launch, pids: Mapping[Part, int]) -> Stack:
    ports = launch.ports
    return Stack(
        bootstrap=f"{HOST}:{ports[Part.KAFKA]}",
        registry_url=f"http://{HOST}:{ports[Part.REGISTRY]}{REGISTRY_PATH}",
        postgres_dsn=postgres.dsn(ports[Part.POSTGRES], launch.password),
        pids=dict(pids),
    )
