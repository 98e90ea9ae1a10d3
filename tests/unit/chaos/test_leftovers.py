"""Only what works inside the campaign's own folder is ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.leftovers import end_leftovers

WAITS = "input()"


@contextmanager
def at_work(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", WAITS], cwd=folder, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_only_what_works_in_the_folder_is_ended(tmp_path: Path) -> None:
    with at_work(tmp_path / "chaos" / "round" / "ledger") as ours, at_work(tmp_path / "chaos-of-another") as theirs:
        assert end_leftovers(tmp_path / "chaos") == [ours.pid]
        assert ours.poll() is not None
        assert theirs.poll() is None
