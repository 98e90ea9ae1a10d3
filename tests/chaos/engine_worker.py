"""A worker of the scenario `engine`: one of the engine's tests, which can be told while it runs where to fall over.

`python -m tests.chaos.engine_worker <settings as JSON> <file>`: at SIGHUP it does what the file says.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import faust

from tests.integration.process.librdkafka.worker_app import Settings, arm, build


def run(settings: Settings, arms: Path) -> None:
    def armed(_number: int, _frame: object) -> None:
        place, action, share = json.loads(arms.read_text(encoding="utf-8"))
        arm((place, action, share))

    signal.signal(signal.SIGHUP, armed)
    faust.Worker(build(settings), loglevel="info", quiet=True).execute_from_commandline()


if __name__ == "__main__":
    run(Settings(**json.loads(sys.argv[1])), Path(sys.argv[2]))
