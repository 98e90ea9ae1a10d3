"""Memory of a sink's worker whose database hangs under full load. Linux only.

    python -m tests.bench.memory                              # ten minutes for each size of records
    python -m tests.bench.memory --seconds 30 --sizes 950000

Prints the resident memory of the worker's process over time, and its peak; exits with 1 when that is 400 MB or more, or
when something is lost or doubled once the database answers again.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mainstem import devstack
from tests.hanging_target import HangingTarget, Sample, hanging_target

REPOSITORY = Path(__file__).parent.parent.parent
BOUND_BYTES = 400_000_000
LINES = 20
"""How many samples of a run are printed."""


class Printer:
    """Prints some of the samples, evenly."""

    def __init__(self, seconds: float) -> None:
        self._every_s = seconds / LINES
        self._next_s = 0.0

    def __call__(self, sample: Sample) -> None:
        if sample.after_s >= self._next_s:
            self._next_s += self._every_s
            print(f"  {sample.after_s:6.1f} s  {sample.rss_bytes / 1e6:6.1f} MB", flush=True)  # noqa: T201


def measure(scene: HangingTarget, seconds: float) -> bool:
    """Whether the bound held, and everything came once."""
    scene.hang(seconds, Printer(seconds))
    first, last = scene.peak(before=seconds / 2), scene.peak(since=seconds / 2)
    peak = max(first, last)
    print(f"  peak {peak / 1e6:.1f} MB; first half {first / 1e6:.1f}, last half {last / 1e6:.1f}", flush=True)  # noqa: T201
    scene.release()
    rows = scene.blobs.rows()
    highest = scene.highest()
    print(f"  {scene.records} records, {rows[0]} rows, {rows[1]} of them differ", flush=True)  # noqa: T201
    print(f"  highest in the worker's whole life {highest / 1e6:.1f} MB", flush=True)  # noqa: T201
    return highest < BOUND_BYTES and rows == (scene.records, scene.records)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 950_000])
    options = parser.parse_args()
    held = []
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running:
        for size in options.sizes:
            print(f"records of {size:,} bytes, a hang of {options.seconds:g} s", flush=True)  # noqa: T201
            with (
                TemporaryDirectory() as folder,
                hanging_target(Path(folder), running.stack, size, free_port()) as scene,
            ):
                held.append(measure(scene, options.seconds))
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
