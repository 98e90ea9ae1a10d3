"""Streams on the engine and mainstem's own beside a plain confluent-kafka + fastavro loop, Quix Streams and Faust.

    python -m tests.bench.streams                    # 100,000 orders (10,000 one by one), three interleaved rounds
    python -m tests.bench.streams --only plain_eos step_eos quix_eos
    python -m tests.bench.streams --without quix     # where its packages cannot be had
    python -m tests.bench.streams --orders 2400000 --rounds 1 --only plain_alo native_alo kafka_streams_alo

All read the same topic of Avro orders, change two fields and write Avro (by fastavro, but for `native_...` and
mainstem's own stream), each in a process of its own on the same broker. The rate is taken from the broker's append
times in a fresh output topic, between the first record and the last; the processor time a record from the contestant's
process, between its first commit and its last. Every run has to write each order once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from mainstem import devstack
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec
from tests.bench import contestants as who
from tests.bench import kafka_streams, quix
from tests.bench.contestants import PARTITIONS, Job
from tests.bench.order_step import encode
from tests.bench.orders import orders

HELD = 50_000
"""Records that are filled in and not in Kafka yet, at most."""
REPOSITORY = Path(__file__).parent.parent.parent
GIVE_UP_S = 300.0
LOOK_S = 0.1
SLOW = 10
"""Contestants that go one by one get a tenth of the orders."""
Contestant = Callable[[Job], None]
CONTESTANTS: Mapping[Contestant, int] = {
    who.plain_alo: 1,
    who.step_alo: 1,
    who.native_alo: 1,
    who.kafka_streams_alo: 1,
    who.quix_alo: 1,
    who.plain_eos: 1,
    who.step_eos: 1,
    who.native_eos: 1,
    who.kafka_streams_eos: 1,
    who.quix_eos: 1,
    who.quix_eos_10k: 1,
    who.step_eos_table: 1,
    who.mainstem_stream: 1,
    who.stock_alo: SLOW,
    who.agent_alo: SLOW,
    who.stock_eos: SLOW,
    who.agent_eos: SLOW,
}
RATIOS: Sequence[tuple[Contestant, Contestant]] = [
    (who.step_alo, who.plain_alo),
    (who.step_alo, who.quix_alo),
    (who.step_alo, who.stock_alo),
    (who.step_eos, who.step_alo),
    (who.step_eos, who.plain_eos),
    (who.step_eos, who.quix_eos),
    (who.step_eos, who.quix_eos_10k),
    (who.step_eos_table, who.step_eos),
    (who.native_alo, who.plain_alo),
    (who.native_eos, who.plain_eos),
    (who.native_alo, who.kafka_streams_alo),
    (who.native_eos, who.kafka_streams_eos),
    (who.mainstem_stream, who.plain_eos),
    (who.agent_alo, who.stock_alo),
    (who.agent_eos, who.stock_eos),
]


def fill(bootstrap: str, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 500_000})
    for order in orders(count):
        while len(producer) > HELD:
            producer.poll(0.1)
        producer.produce(topic, encode(order), order["order_id"])
    producer.flush()


class Speed(NamedTuple):
    """Of one contestant in one round."""

    rate: float
    """Records a second."""
    cpu_us: float
    """Processor time of its process for each record, in microseconds; nan where it committed but once."""

    def __str__(self) -> str:
        return f"{self.rate:,.0f} records/s, {self.cpu_us:.1f} us CPU each"


def measure(contestant: Contestant, job: Job) -> Speed:
    process = multiprocessing.get_context("spawn").Process(target=contestant, args=(job,))
    process.start()
    try:
        cpu_us = wait(job, process)
    finally:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
    stamps: list[int] = []
    with reading({"bootstrap.servers": job.bootstrap}) as reader:
        for batch in reader.read(reader.whole([job.writes])):
            stamps += [message.timestamp()[1] for message in batch]
    if len(stamps) != job.count:
        raise SystemExit(f"{contestant.__name__} wrote {len(stamps)} of {job.count} orders")
    first, last = min(stamps), max(stamps)
    return Speed(sum(stamp > first for stamp in stamps) / (last - first) * 1000, cpu_us)


def wait(job: Job, process: Any) -> float:
    """Until the group has committed all of the input. Gives the processor time of a record, in microseconds."""
    client = Consumer({"bootstrap.servers": job.bootstrap, "group.id": job.group})
    places = [TopicPartition(job.reads, number) for number in range(PARTITIONS)]
    deadline = time.monotonic() + GIVE_UP_S
    used = psutil.Process(process.pid)
    marks: list[tuple[int, float]] = []
    try:
        ends = sum(client.get_watermark_offsets(place, timeout=10)[1] for place in places)
        while not marks or marks[-1][0] < ends:
            if time.monotonic() > deadline or not process.is_alive():
                raise SystemExit(f"{job.group} did not finish")
            time.sleep(LOOK_S)
            times = used.cpu_times()
            done = sum(max(0, place.offset) for place in client.committed(places, timeout=30))
            if done and (not marks or done > marks[-1][0]):
                marks.append((done, times.user + times.system))
    finally:
        client.close()
    (first, before), (last, after) = marks[0], marks[-1]
    return (after - before) / (last - first) * 1e6 if last > first else nan


def bench(count: int, rounds: int, chosen: Collection[str]) -> dict[str, list[Speed]]:
    found: dict[str, list[Speed]] = {}
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running, tempfile.TemporaryDirectory() as folder:
        bootstrap, tag = running.stack.bootstrap, uuid.uuid4().hex[:8]
        admin = Admin({"bootstrap.servers": bootstrap})
        jobs = {
            share: Job(bootstrap, f"bench.in{share}{tag}.v1", "", "", count // share, folder) for share in (1, SLOW)
        }
        admin.create([TopicSpec(job.reads, PARTITIONS) for job in jobs.values()])
        for job in jobs.values():
            fill(bootstrap, job.reads, job.count)
        for number in range(rounds):
            for contestant, share in CONTESTANTS.items():
                name, run_tag = contestant.__name__, uuid.uuid4().hex[:8]
                if name not in chosen:
                    continue
                job = replace(jobs[share], writes=f"bench.out{run_tag}.v1", group=f"bench.{name}.{run_tag}")
                admin.create([TopicSpec(job.writes, PARTITIONS, 1, {"message.timestamp.type": "LogAppendTime"})])
                speed = measure(contestant, job)
                found.setdefault(name, []).append(speed)
                print(f"round {number + 1}: {name}: {speed}", flush=True)  # noqa: T201
                admin.delete([job.writes])
        admin.delete([job.reads for job in jobs.values()])
    return found


def report(found: dict[str, list[Speed]]) -> Sequence[str]:
    median = {
        name: Speed(*(statistics.median(values) for values in zip(*speeds, strict=True)))
        for name, speeds in found.items()
    }
    rates = [f"{name}: {speed}" for name, speed in median.items()]
    ratios = [
        f"{one.__name__} / {other.__name__}: {median[one.__name__].rate / median[other.__name__].rate:.2f}"
        for one, other in RATIOS
        if {one.__name__, other.__name__} <= median.keys()
    ]
    return [*rates, *ratios]


def choose(only: Sequence[str], without: Sequence[str]) -> list[str]:
    """Who takes part: Quix Streams and Kafka Streams where they can be installed."""
    chosen = [name for name in only if not any(name.startswith(family) for family in without)]
    for family, prepare in (("quix", quix.install), ("kafka_streams", kafka_streams.build)):
        if not any(name.startswith(family) for name in chosen):
            continue
        try:
            prepare()
        except (quix.NotInstalled, kafka_streams.NotBuilt) as reason:
            print(f"{family} cannot be had, and is left out: {reason}", flush=True)  # noqa: T201
            chosen = [name for name in chosen if not name.startswith(family)]
    return chosen


def main() -> None:
    names = [contestant.__name__ for contestant in CONTESTANTS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="CONTESTANT")
    parser.add_argument("--without", nargs="+", choices=["quix", "kafka_streams", "stock"], default=[])
    options = parser.parse_args()
    chosen = choose(options.only, options.without)
    for line in report(bench(options.orders, options.rounds, chosen)):
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
