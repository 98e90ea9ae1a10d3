from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen

import psutil
import pytest

from mainstem.devstack.lock import exclusive
from mainstem.devstack.process import end, environment, is_alive, run, seen, spawn

WAITING = "import signal, sys; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITING


def started(code: str, log: Path) -> int:
    pid = spawn([sys.executable, "-I", "-S", "-c", code], log, environment())
    deadline = time.monotonic() + 10
    while "up" not in log.read_text():
        assert time.monotonic() < deadline
        os.sched_yield()
    return pid


def test_a_process_gets_its_own_session_and_log_and_ends_when_asked(tmp_path: Path) -> None:
    pid = started(WAITING, tmp_path / "x.log")
    assert os.getsid(pid) == pid
    assert is_alive(pid)
    end([pid])
    assert not is_alive(pid)


def test_a_process_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    pid = started(STUBBORN, tmp_path / "x.log")
    end([pid], patience_s=0.1)
    assert not is_alive(pid)


SPAWNING = """
import sys
from pathlib import Path
from mainstem.devstack.process import environment, spawn
print(spawn(["/bin/sleep", "60"], Path(sys.argv[1]), environment()), flush=True)
sys.stdin.read()
"""


def test_a_process_whose_parent_never_waits_for_it_counts_as_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SPAWNING, str(tmp_path / "x.log")]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        begun = time.monotonic()
        end([pid], patience_s=10)
        assert time.monotonic() - begun < 5
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        parent.communicate()


def test_ending_what_is_gone_is_no_error(tmp_path: Path) -> None:
    pid = started(WAITING, tmp_path / "x.log")
    end([pid])
    end([pid])


def test_a_process_that_has_ended_is_not_alive_before_it_is_waited_for(tmp_path: Path) -> None:
    pid = spawn([sys.executable, "-I", "-S", "-c", ""], tmp_path / "x.log", environment())
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline
    assert os.waitpid(pid, 0)[0] == pid


def test_the_log_of_the_run_before_is_kept_beside(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("before")
    end([started(WAITING, tmp_path / "x.log")])
    assert (tmp_path / "x.log.1").read_text() == "before"
    assert (tmp_path / "x.log").read_text() == "up\n"


def test_a_process_is_seen_with_its_command(tmp_path: Path) -> None:
    pid = started(WAITING, tmp_path / "x.log")
    found = [process for process in seen() if process.pid == pid]
    end([pid])
    assert found[0].command[-1] == WAITING
    assert found[0].parent == os.getpid()


def test_servers_do_not_inherit_what_is_set_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1m")
    monkeypatch.setenv("MAINSTEM_SECRET_X", "s")
    assert set(environment(MORE="1")) <= {"PATH", "HOME", "TMPDIR", "LC_ALL", "MORE"}


def test_a_command_that_fails_is_told_by_its_log(tmp_path: Path) -> None:
    assert not run([sys.executable, "-I", "-S", "-c", "raise SystemExit('broken')"], tmp_path / "logs" / "x.log")
    assert (tmp_path / "logs" / "x.log").read_text() == "broken\n"


def test_a_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exclusive(tmp_path / "lock"):
        raise KeyError
    with exclusive(tmp_path / "lock"):
        pass
