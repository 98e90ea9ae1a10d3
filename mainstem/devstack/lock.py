"""One process at a time: locks that end with their process, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainstem.devstack.progress import SILENT, Progress


@contextmanager
def exclusive(file: Path, waiting_for: str = "", progress: Progress = SILENT) -> Iterator[None]:
    """Holds `file`'s lock, waiting for whoever has it (shown as a step of that name).

    The file stays behind, so that nobody ever holds the lock of a file that is gone.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(waiting_for):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
