"""A sink worker under full load whose database hangs: it takes connections and bytes, and never answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import psutil
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mainstem import devstack
from tests.backbone_process import BackboneProcess, until
from tests.blobs import Blobs, blob_project, write_dsn
from tests.tcp_proxy import TcpProxy, Way

LOOK_S = 0.2
DRAIN_S = 300.0
FILLING_BYTES = 400 << 20
"""What waits in the topic: as much as the whole worker may take, so that nothing but a bound keeps it from that."""
FILLING_RECORDS = 150_000
"""Small ones take several times their bytes: this is the most that is of use."""


@dataclass(frozen=True)
class Sample:
    """The worker's resident memory, all of its processes, so many seconds after the target began to hang."""

    after_s: float
    rss_bytes: int


@dataclass
class HangingTarget:
    """A topic full of records, a worker that delivers them, and the door between it and its database."""

    records: int
    blobs: Blobs
    door: TcpProxy
    worker: BackboneProcess
    samples: list[Sample] = field(default_factory=list)

    def hang(self, seconds: float, look: Callable[[Sample], None] = lambda _: None) -> None:
        """Lets the worker deliver something, then shuts the door on it for that long and watches its memory."""
        until(lambda: self.blobs.rows()[0] > 0, within_s=DRAIN_S, what=self.worker.parts)
        self.door.swallow(Way.UP, Way.DOWN)
        began = monotonic()
        while (after_s := monotonic() - began) < seconds:
            self.samples.append(Sample(after_s, self._rss()))
            look(self.samples[-1])
            sleep(LOOK_S)

    def release(self) -> None:
        """Opens the door, and waits until everything is delivered."""
        self.door.resume()
        until(lambda: self.blobs.rows()[0] >= self.records, within_s=DRAIN_S, what=self.blobs.rows)

    def peak(self, *, since: float = 0.0, before: float = float("inf")) -> int:
        """The most memory in that part of the hang, in bytes."""
        return max(sample.rss_bytes for sample in self.samples if since <= sample.after_s < before)

    def highest(self) -> int:
        """The most memory that the worker's own process has ever had, in bytes: before, during and after the hang."""
        status = Path(f"/proc/{self.worker.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def _rss(self) -> int:
        found = 0
        for process in self.worker.everybody():
            try:
                found += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return found


@contextmanager
def hanging_target(folder: Path, stack: devstack.Stack, record_bytes: int, port: int) -> Iterator[HangingTarget]:
    """The topic is full, the worker runs."""
    count = min(FILLING_BYTES // record_bytes, FILLING_RECORDS)
    with blob_project(folder, stack) as blobs:
        asyncio.run(blobs.publish(range(count), record_bytes))
        address = conninfo_to_dict(blobs.dsn)
        with (
            TcpProxy(str(address["host"]), int(address["port"] or 5432)) as door,
            BackboneProcess(folder, port) as worker,
        ):
            write_dsn(folder, make_conninfo(blobs.dsn, port=door.port))
            worker.start("--only", "sinks")
            yield HangingTarget(count, blobs, door, worker)
