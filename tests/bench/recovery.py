"""How long the lag of a killed sink worker grows: from its kill -9 to the first record that its successor delivers.

    python -m tests.bench.recovery --kills 5

Two workers with default settings share a topic under load. One of them is killed, and the time is taken until every
partition has moved on; then a new one takes its place.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic

import psycopg

from mainstem import devstack
from tests.backbone_process import BackboneProcess, until
from tests.blobs import PARTITIONS, Blobs, blob_project

REPOSITORY = Path(__file__).parent.parent.parent
RECORD_BYTES = 1_000
TICK_S = 0.1
PER_TICK = 40
"""Records: each partition has something new at any moment."""
GIVE_UP_S = 120.0


class Load:
    """Publishes at an even rate while it is entered."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._done = Event()
        self.published = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = Thread(target=lambda: asyncio.run(self._publish()), name="load")
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    async def _publish(self) -> None:
        for tick in count():
            if self._done.is_set():
                return
            await self._blobs.publish(range(tick * PER_TICK, (tick + 1) * PER_TICK), RECORD_BYTES)
            self.published = (tick + 1) * PER_TICK
            await asyncio.sleep(TICK_S)


def positions(blobs: Blobs) -> dict[int, int]:
    """The next offset to deliver of each partition, as the target knows it."""
    with psycopg.connect(blobs.dsn) as connection:
        if connection.execute("SELECT to_regclass('mainstem_offsets')").fetchone() == (None,):
            return {}
        asked = "SELECT partition, coalesce(next_offset, 0) FROM mainstem_offsets WHERE topic = %s"
        return {int(number): int(offset) for number, offset in connection.execute(asked, [blobs.topic]).fetchall()}


def until_all_move(blobs: Blobs) -> None:
    """Until every partition has got further than it is now."""
    stood = positions(blobs)
    until(lambda: _all_beyond(positions(blobs), stood), within_s=GIVE_UP_S, what=lambda: (stood, positions(blobs)))


def _all_beyond(now: dict[int, int], stood: dict[int, int]) -> bool:
    return len(now) == PARTITIONS and all(offset > stood.get(number, 0) for number, offset in now.items())


def until_shared(blobs: Blobs) -> None:
    """Until two workers are members of the group, and each delivers."""
    group = blobs.services.project.sinks[0].group

    def both() -> bool:
        found = blobs.services.admin.group(group)
        return found.state == "STABLE" and found.members == 2

    until(both, within_s=GIVE_UP_S, what=lambda: blobs.services.admin.group(group))
    until_all_move(blobs)


def recovery_s(blobs: Blobs, victim: BackboneProcess) -> float:
    """Kills it. Seconds until every partition has moved on from where it stood a moment later."""
    victim.kill()
    killed = monotonic()
    until_all_move(blobs)
    return monotonic() - killed


def measure(folder: Path, stack: devstack.Stack, kills: int) -> list[float]:
    """The recovery after each kill, in seconds. Raises AssertionError when a record was lost or doubled."""
    found: list[float] = []
    with ExitStack() as workers, blob_project(folder, stack) as blobs:
        load = Load(blobs)

        def worker() -> BackboneProcess:
            return workers.enter_context(BackboneProcess(folder, free_port())).start("--only", "sinks")

        with load.running():
            standing = worker()
            for _ in range(kills):
                newcomer = worker()
                until_shared(blobs)
                found.append(recovery_s(blobs, standing))
                standing = newcomer
        until(lambda: blobs.rows()[0] >= load.published, within_s=GIVE_UP_S, what=blobs.rows)
        assert blobs.rows() == (load.published, load.published)
        standing.stop()
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running, TemporaryDirectory() as folder:
        found = measure(Path(folder), running.stack, options.kills)
    told = ", ".join(f"{seconds:.1f}" for seconds in found)
    print(f"recovery after {len(found)} kills: {told} s; median {statistics.median(found):.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
