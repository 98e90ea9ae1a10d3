"""A worker of the engine that is watched: it is started again whenever it has ended, as a supervisor would."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import faust
import psutil

from mainstem.process.librdkafka import App, EngineOptions, Event
from tests.bench.order_step import change, decode, encode

PARTITIONS = 4


@dataclass(frozen=True)
class Job:
    """What a worker has to do."""

    bootstrap: str
    reads: str
    writes: str
    group: str
    folder: str
    guarantee: str
    has_table: bool = False


@dataclass(frozen=True)
class Sample:
    """What a worker's process has, so many seconds after the start."""

    after_s: float
    rss_bytes: int
    most_bytes: int
    """The most that this process ever had in memory."""
    files: int
    """Open file descriptors."""

    def __str__(self) -> str:
        return f"{self.after_s:7.1f} s  {self.rss_bytes / 1e6:6.1f} MB  {self.files:4d} files"


def work(job: Job) -> None:
    """A step over orders; its engine has default options."""
    app = App(
        job.group,
        broker=f"librdkafka://{job.bootstrap}",
        processing_guarantee=job.guarantee,
        store="memory://",
        datadir=job.folder,
        topic_partitions=PARTITIONS,
        engine=EngineOptions(member="soak"),
    )
    counts = app.Table("counts", default=int, partitions=PARTITIONS) if job.has_table else None

    @app.step(job.reads, writes=job.writes, table=counts, decode=decode, encode=encode)
    def settle(event: Event, table: Any) -> Event:
        if table is not None:
            table[event.value["customer_id"]] += 1
        return event.with_value(change(event.value))

    faust.Worker(app, loglevel="critical", quiet=True).execute_from_commandline()


@dataclass
class Worker:
    """Use as a context manager."""

    job: Job
    lives: int = 0
    samples: list[Sample] = field(default_factory=list)
    _process: Any = None
    _began: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        self.tend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()

    def tend(self) -> None:
        """Starts it if it does not run."""
        if self._process is not None and self._process.is_alive():
            return
        self._process = multiprocessing.get_context("spawn").Process(target=work, args=(self.job,))
        self._process.start()
        self.lives += 1

    def look(self) -> Sample | None:
        """None where it is about to end."""
        try:
            process = psutil.Process(self._process.pid)
            status = Path(f"/proc/{process.pid}/status").read_text()
            most = int(status.split("VmHWM:")[1].split()[0]) * 1024
            after_s = time.monotonic() - self._began
            sample = Sample(after_s, process.memory_info().rss, most, process.num_fds())
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError, IndexError):
            return None
        self.samples.append(sample)
        return sample
