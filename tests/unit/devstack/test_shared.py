from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mainstem import devstack
from mainstem.devstack import running
from mainstem.devstack.progress import Progress
from mainstem.devstack.stack import Home, RunningStack, Stack, State, read_state, write_state

STACK = Stack("b", "r", "p")


@dataclass
class Machine:
    """Stands in for the processes: what is noted, and how often all was stopped."""

    stopped: int = 0
    up: bool = field(default=False)

    def ensure(self, project: Path, _: Progress, *, ends_with_its_users: bool) -> RunningStack:
        before = read_state(Home.of(project).state) if self.up else None
        asked = ends_with_its_users and (before is None or before.ends_with_its_users)
        Home.of(project).folder.mkdir(exist_ok=True)
        write_state(Home.of(project).state, State(STACK, {}, asked))
        self.up = True
        return RunningStack(STACK, started_here=before is None)

    def stop(self, _: Path, __: Progress) -> bool:
        self.stopped += 1
        self.up = False
        return True


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(running, "ensure_local", made.ensure)
    monkeypatch.setattr(running, "stop_local", made.stop)
    return made


def test_the_only_user_stops_it(machine: Machine, tmp_path: Path) -> None:
    with devstack.shared(tmp_path, environ={}):
        assert machine.stopped == 0
    assert machine.stopped == 1


def test_a_failing_user_stops_it_too(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(KeyError), devstack.shared(tmp_path, environ={}):
        raise KeyError
    assert machine.stopped == 1


def test_the_first_user_that_leaves_does_not_take_it_from_the_second(machine: Machine, tmp_path: Path) -> None:
    first, second = devstack.shared(tmp_path, environ={}), devstack.shared(tmp_path, environ={})
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert machine.stopped == 0
    second.__exit__(None, None, None)
    assert machine.stopped == 1


def test_a_stack_that_was_started_to_stay_stays(machine: Machine, tmp_path: Path) -> None:
    devstack.ensure(tmp_path, environ={})
    with devstack.shared(tmp_path, environ={}):
        pass
    assert machine.stopped == 0


def test_what_a_killed_user_left_running_is_stopped_by_the_next(machine: Machine, tmp_path: Path) -> None:
    machine.ensure(tmp_path, devstack.SILENT, ends_with_its_users=True)
    with devstack.shared(tmp_path, environ={}) as found:
        assert not found.started_here
    assert machine.stopped == 1
