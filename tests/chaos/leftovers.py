"""What a campaign that was itself killed has left running."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

GONE_WITHIN_S = 30.0


def end_leftovers(folder: Path) -> list[int]:
    """Kills the processes whose working folder is in `folder`; gives their ids when they are gone."""
    found = [process for process in psutil.process_iter() if _works_in(process, folder.resolve())]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, GONE_WITHIN_S)
    return [process.pid for process in found]


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False
