"""What transactions cost a source: idempotent produce and flush beside the same in transactions with a position.

    python -m tests.bench.transactions        # 200,000 records of 200 bytes in batches of 500 and 5,000, three rounds

Both write the same records into a topic of 3 partitions, batch by batch, and go on when a batch is durable. The floor
is confluent-kafka with `acks=all` and a flush. The other is TransactionalProducer as a source uses it, with a record in
a compacted topic in each transaction. Each runs in a process of its own on the same broker.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

from confluent_kafka import Producer

from mainstem import devstack
from mainstem.kafka.producer import DEFAULTS
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.kafka.transaction import TransactionalProducer

REPOSITORY = Path(__file__).parent.parent.parent
VALUE = b"x" * 200
WARM_UP = 3
BATCHES = (500, 5000)


@dataclass(frozen=True)
class Job:
    """One run of one contestant."""

    bootstrap: str
    topic: str
    positions: str
    batch: int
    count: int

    def batches(self) -> Iterator[Sequence[Record]]:
        """First those that warm up, then those that count."""
        keys = [str(n).encode() for n in range(self.batch)]
        batch = [Record(self.topic, key, VALUE, [("ce_id", key)]) for key in keys]
        for _ in range(WARM_UP + self.count // self.batch):
            yield batch


@dataclass(frozen=True)
class Result:
    """Of one run."""

    records_s: float
    cpu_us: float
    """A record, of this process: the library's threads too."""
    batch_ms: float
    """The median batch."""


class Stopwatch:
    """Starts when the warm-up is over."""

    def __init__(self) -> None:
        self._laps: list[float] = []
        self._cpu = 0.0

    def lap(self) -> None:
        if len(self._laps) == WARM_UP:
            self._cpu = time.process_time()
        self._laps.append(time.perf_counter())

    def result(self, batch: int) -> Result:
        laps = self._laps[WARM_UP:]
        records = batch * (len(laps) - 1)
        took = [later - sooner for sooner, later in pairwise(laps)]
        cpu_us = (time.process_time() - self._cpu) / records * 1e6
        return Result(records / (laps[-1] - laps[0]), cpu_us, statistics.median(took) * 1000)


def plain(job: Job) -> Result:
    """The floor: nothing but the library."""
    producer = Producer({**DEFAULTS, "bootstrap.servers": job.bootstrap})
    watch = Stopwatch()
    for batch in job.batches():
        watch.lap()
        for record in batch:
            producer.produce(record.topic, record.value, record.key, headers=list(record.headers))
        producer.flush()
    watch.lap()
    return watch.result(job.batch)


def transactions(job: Job) -> Result:
    """Each batch and the position after it in one transaction."""

    async def work() -> Result:
        watch = Stopwatch()
        async with TransactionalProducer({"bootstrap.servers": job.bootstrap}, job.positions) as producer:
            for number, batch in enumerate(job.batches()):
                watch.lap()
                await producer.commit([*batch, Record(job.positions, b"source", str(number).encode())])
            watch.lap()
        return watch.result(job.batch)

    return asyncio.run(work())


CONTESTANTS: Mapping[str, Callable[[Job], Result]] = {"plain": plain, "transactions": transactions}


def _run(contestant: str, job: Job, answer: Connection) -> None:
    answer.send(CONTESTANTS[contestant](job))


def measure(contestant: str, job: Job) -> Result:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(contestant, job, there), daemon=True)
    process.start()
    there.close()
    try:
        result: Result = here.recv()
    except EOFError:
        raise SystemExit(f"{contestant} stopped") from None
    finally:
        process.join()
    return result


def bench(count: int, rounds: int) -> Mapping[tuple[str, int], list[Result]]:
    """Interleaved rounds; every run writes topics of its own, which are deleted after it."""
    found: dict[tuple[str, int], list[Result]] = {}
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running:
        admin = Admin({"bootstrap.servers": running.stack.bootstrap})
        for number in range(rounds):
            for size in BATCHES:
                for contestant in CONTESTANTS:
                    run = f"bench{uuid.uuid4().hex[:8]}"
                    topic, positions = f"{run}.events.v1", f"{run}.positions.v1"
                    admin.create([TopicSpec(topic, 3), TopicSpec(positions, 1, 1, {"cleanup.policy": "compact"})])
                    result = measure(contestant, Job(running.stack.bootstrap, topic, positions, size, count))
                    admin.delete([topic, positions])
                    found.setdefault((contestant, size), []).append(result)
                    told = _told(result)
                    print(f"round {number + 1}: batches of {size}: {contestant}: {told}", flush=True)  # noqa: T201
    return found


def _told(result: Result) -> str:
    return f"{result.records_s:,.0f}/s, {result.cpu_us:.1f} us CPU a record, {result.batch_ms:.1f} ms a batch"


def _median(results: Sequence[Result]) -> Result:
    return Result(
        statistics.median(result.records_s for result in results),
        statistics.median(result.cpu_us for result in results),
        statistics.median(result.batch_ms for result in results),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = bench(options.records, options.rounds)
    for size in BATCHES:
        floor, ours = _median(found["plain", size]), _median(found["transactions", size])
        print(  # noqa: T201
            f"batches of {size}: transactions {_told(ours)}; plain {_told(floor)}; "
            f"ratio {ours.records_s / floor.records_s:.2f}"
        )


if __name__ == "__main__":
    main()
