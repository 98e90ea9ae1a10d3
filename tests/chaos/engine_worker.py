"""A worker of the scenario `engine`: one of the engine's tests, which can be told while it runs where to fall over.

`python -m tests.chaos.engine_worker <settings as JSON> <arms> <places>`: at SIGHUP it does what the first file says;
it writes the partitions that it has into the second one.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from tests.integration.process.librdkafka.worker_app import Settings, arm, build


def run(settings: Settings, arms: Path, places: Path) -> None:
    def armed(_number: int, _frame: object) -> None:
        place, action, share = json.loads(arms.read_text(encoding="utf-8"))
        arm((place, action, share))

    signal.signal(signal.SIGHUP, armed)
    app: Any = build(settings)
    held: set[int] = set()

    def tell() -> None:
        beside = places.with_suffix(".new")
        beside.write_text(json.dumps(sorted(held)), encoding="utf-8")
        beside.replace(places)

    async def assigned(_app: Any, partitions: set[TP], **_more: Any) -> None:
        held.update(tp.partition for tp in partitions if tp.topic == settings.reads)
        tell()

    async def revoked(_app: Any, partitions: set[TP], **_more: Any) -> None:
        held.difference_update(tp.partition for tp in partitions if tp.topic == settings.reads)
        tell()

    app.on_partitions_assigned.connect(assigned)
    app.on_partitions_revoked.connect(revoked)
    faust.Worker(app, loglevel="info", quiet=True).execute_from_commandline()


if __name__ == "__main__":
    run(Settings(**json.loads(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]))
