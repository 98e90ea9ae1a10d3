from __future__ import annotations

from pathlib import Path

import pytest

from mainstem.devstack.stack import Part, RunningStack, Stack, State, read_state, write_state

STACK = Stack("127.0.0.1:1", "http://127.0.0.1:2/apis/ccompat/v7", "postgresql://u:s3cret@h/d", pids={Part.KAFKA: 7})


def test_a_written_state_is_read_back_the_same(tmp_path: Path) -> None:
    state = State(STACK, {"kafka": 1, "controller": 2}, ends_with_its_users=True)
    write_state(tmp_path / "stack.json", state)
    assert read_state(tmp_path / "stack.json") == state


def test_only_the_owner_may_read_the_file_that_holds_the_password(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{}")
    (tmp_path / "stack.json").chmod(0o644)
    write_state(tmp_path / "stack.json", State(STACK, {}))
    assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600


def test_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_state(tmp_path / "stack.json", State(STACK, {}))
    assert [file.name for file in tmp_path.iterdir()] == ["stack.json"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"pids": 3}', '{"bootstrap":"b","registry_url":"r","postgres_dsn":"p","pids":{"x":1}}'],
)
def test_what_is_no_state_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)
    assert read_state(tmp_path / "stack.json") is None


def test_no_file_counts_as_none(tmp_path: Path) -> None:
    assert read_state(tmp_path / "stack.json") is None


def test_the_password_is_not_printed() -> None:
    assert "s3cret" not in repr(RunningStack(STACK, started_here=True))


def test_stopping_ends_only_what_was_started_here() -> None:
    ended: list[str] = []
    RunningStack(STACK, started_here=False, end=lambda: ended.append("found")).stop()
    RunningStack(STACK, started_here=True, end=lambda: ended.append("started")).stop()
    assert ended == ["started"]
