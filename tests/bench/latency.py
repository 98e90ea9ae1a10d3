"""From the moment at which an order is due to the one at which a read_committed reader has its outcome.

    python -m tests.bench.latency                    # 5,000 orders a second, epochs of 100 ms, three rounds of 30 s
    python -m tests.bench.latency --epoch-ms 50 --rate 1000 --only step
    python -m tests.bench.latency --warm-up 0        # on a broker that has just started: Kafka compiles itself

Before the rounds the plain loop runs for a while at the same rate, and is not counted.

The load, an exactly-once step of the engine with the native codec (or with fastavro; or a plain loop of transactions
with fastavro and the same epoch, as a measure of the machine) and the reader are processes of their own on one broker.
The load is open: an order counts from when it was to
be sent, whether its sender was late or not. Exits with 1 where the step's p99 is more than the epoch and 100 ms.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainstem import devstack
from mainstem.kafka.topics import Admin, TopicSpec
from tests.bench.timed import PARTITIONS, WARM_UP_S, Job, load, plain, read, step, step_fastavro

REPOSITORY = Path(__file__).parent.parent.parent
ALLOWED_MS = 100
"""On top of the epoch."""

CONTESTANTS: Mapping[str, Callable[[Job], None]] = {"plain": plain, "step": step, "step_fastavro": step_fastavro}


@dataclass(frozen=True)
class Result:
    """Milliseconds."""

    p50: float
    p99: float
    most: float
    commit_p50: float
    commit_p99: float
    load_p99: float
    """How late the load itself was."""

    def __str__(self) -> str:
        commits = f"a commit p50 {self.commit_p50:.0f}, p99 {self.commit_p99:.0f} ms"
        load = f"sent {self.load_p99:.0f} ms late (p99)"
        return f"p50 {self.p50:.0f}, p99 {self.p99:.0f}, most {self.most:.0f} ms; {commits}; {load}"


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def result(job: Job, dues: Sequence[int], late: Sequence[int]) -> Result:
    """Raises SystemExit where an order did not come, or came twice."""
    if len(set(dues)) != job.count or len(dues) != job.count:
        raise SystemExit(f"{job.group}: {len(set(dues))} of {job.count} orders came, in {len(dues)} records")
    start = min(dues) + WARM_UP_S * 1_000_000_000
    counted = [after / 1e6 for due, after in zip(dues, late, strict=True) if due >= start]
    commits = [float(line) for line in job.commits.read_text().split()]
    lateness = [int(line) / 1e6 for line in job.lateness.read_text().split()]
    shares = [*((counted, share) for share in (0.5, 0.99, 1)), (commits, 0.5), (commits, 0.99), (lateness, 0.99)]
    return Result(*(quantile(values, share) for values, share in shares))


@contextmanager
def running(work: Callable[..., None], *args: Any) -> Iterator[Any]:
    """In a process of its own, which is killed in the end."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=args)
    process.start()
    try:
        yield process
    finally:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()


def measure(contestant: str, job: Job) -> Result:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    is_flowing = context.Event()
    with (
        running(read, job, is_flowing, there),
        running(CONTESTANTS[contestant], job),
        running(load, job, is_flowing),
    ):
        there.close()
        dues, late = here.recv()
    return result(job, dues, late)


def bench(options: argparse.Namespace) -> Mapping[str, list[Result]]:
    """Interleaved rounds, with fresh topics for each."""
    found: dict[str, list[Result]] = {name: [] for name in options.only}
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as shared, tempfile.TemporaryDirectory() as folder:

        def run(name: str, seconds: int) -> Result:
            tag = f"{name}{uuid.uuid4().hex[:8]}"
            reads, writes = f"latency.in{tag}.v1", f"latency.out{tag}.v1"
            admin = Admin({"bootstrap.servers": shared.stack.bootstrap})
            admin.create([TopicSpec(topic, PARTITIONS) for topic in (reads, writes)])
            places = (shared.stack.bootstrap, reads, writes, f"latency.{tag}", folder)
            result = measure(name, Job(*places, options.epoch_ms, options.rate, seconds))
            admin.delete([reads, writes])
            return result

        if options.warm_up:
            print(f"warming up: {run('plain', options.warm_up)}", flush=True)  # noqa: T201
        for number in range(options.rounds):
            for name, results in found.items():
                results.append(run(name, options.seconds))
                print(f"round {number + 1}: {name}: {results[-1]}", flush=True)  # noqa: T201
    return found


def median(results: Sequence[Result]) -> Result:
    names = ("p50", "p99", "most", "commit_p50", "commit_p99", "load_p99")
    return Result(*(statistics.median(getattr(one, name) for one in results) for name in names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=["plain", "step"], metavar="CONTESTANT")
    parser.add_argument("--epoch-ms", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=60, metavar="SECONDS")
    options = parser.parse_args()
    medians = {name: median(results) for name, results in bench(options).items()}
    print(f"{options.rate:,} orders a second, epochs of {options.epoch_ms} ms; medians of {options.rounds} rounds")  # noqa: T201
    for name, found in medians.items():
        print(f"{name}: {found}")  # noqa: T201
    allowed = options.epoch_ms + ALLOWED_MS
    if "step" in medians:
        is_met = medians["step"].p99 <= allowed
        print(f"the step's p99 of at most {allowed} ms is {'met' if is_met else 'missed'}")  # noqa: T201
        sys.exit(not is_met)


if __name__ == "__main__":
    main()
