from __future__ import annotations

from pathlib import Path

import pytest

from mainstem.devstack import kafka, local, postgres, registry
from mainstem.devstack.plan import Seen, mark
from mainstem.devstack.progress import SILENT
from mainstem.devstack.stack import Home, Part, Stack, State, read_state, write_state

PIDS = {Part.KAFKA: 11, Part.REGISTRY: 12, Part.POSTGRES: 13}
STATE = State(Stack("b", "r", "p", pids=PIDS), ports=dict.fromkeys(local.PORTS, 1), ends_with_its_users=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A project whose stack runs as noted and answers."""
    found = Home.of(tmp_path)
    found.folder.mkdir()
    write_state(found.state, STATE)
    processes = [Seen(pid, 1, "java", (mark(found, part),)) for part, pid in PIDS.items()]
    monkeypatch.setattr(local, "seen", lambda: processes)
    for part in (kafka, registry, postgres):
        monkeypatch.setattr(part, "answers", lambda _: True)
    return found


def test_a_server_that_is_slow_to_answer_is_given_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    replies = iter([False, False, True])
    monkeypatch.setattr(kafka, "answers", lambda _: next(replies))
    running = local.ensure_local(home.folder.parent, SILENT, ends_with_its_users=True)
    assert running.stack == STATE.stack
    assert not running.started_here


def test_a_user_that_wants_it_to_stay_makes_it_stay(home: Home) -> None:
    local.ensure_local(home.folder.parent, SILENT, ends_with_its_users=False)
    local.ensure_local(home.folder.parent, SILENT, ends_with_its_users=True)
    kept = read_state(home.state)
    assert kept is not None
    assert not kept.ends_with_its_users


def test_a_stack_with_a_part_missing_is_not_found(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local.find_local(home.folder.parent) == STATE.stack
    monkeypatch.setattr(local, "seen", list)
    assert local.find_local(home.folder.parent) is None
