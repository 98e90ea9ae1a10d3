"""Streams on the engine and mainstem's own beside a plain confluent-kafka + fastavro loop, Quix Streams and Faust.

    python -m tests.bench.streams                    # 100,000 orders (10,000 one by one), three interleaved rounds
    python -m tests.bench.streams --only plain_eos step_eos quix_eos
    python -m tests.bench.streams --without quix     # where its packages cannot be had

All read the same topic of Avro orders, change two fields and write Avro, each in a process of its own on the same
broker. The rate is taken from the broker's append times in a fresh output topic, between the first record and the last.
Every run has to write each order once.
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
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from mainstem import devstack
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec
from tests.bench import contestants as who
from tests.bench import quix
from tests.bench.contestants import PARTITIONS, Job
from tests.bench.order_step import encode
from tests.bench.orders import orders

REPOSITORY = Path(__file__).parent.parent.parent
GIVE_UP_S = 300.0
SLOW = 10
"""Contestants that go one by one get a tenth of the orders."""
Contestant = Callable[[Job], None]
CONTESTANTS: Mapping[Contestant, int] = {
    who.plain_alo: 1,
    who.step_alo: 1,
    who.quix_alo: 1,
    who.plain_eos: 1,
    who.step_eos: 1,
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
    (who.mainstem_stream, who.plain_eos),
    (who.agent_alo, who.stock_alo),
    (who.agent_eos, who.stock_eos),
]


def fill(bootstrap: str, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 500_000})
    for order in orders(count):
        producer.produce(topic, encode(order), order["order_id"])
    producer.flush()


def measure(contestant: Contestant, job: Job) -> float:
    """Records a second."""
    process = multiprocessing.get_context("spawn").Process(target=contestant, args=(job,))
    process.start()
    try:
        wait(job, process)
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
    return sum(stamp > first for stamp in stamps) / (last - first) * 1000


def wait(job: Job, process: Any) -> None:
    """Until the group has committed all of the input."""
    client = Consumer({"bootstrap.servers": job.bootstrap, "group.id": job.group})
    places = [TopicPartition(job.reads, number) for number in range(PARTITIONS)]
    deadline = time.monotonic() + GIVE_UP_S
    try:
        ends = sum(client.get_watermark_offsets(place, timeout=10)[1] for place in places)
        while sum(max(0, place.offset) for place in client.committed(places, timeout=30)) < ends:
            if time.monotonic() > deadline or not process.is_alive():
                raise SystemExit(f"{job.group} did not finish")
            time.sleep(0.2)
    finally:
        client.close()


def bench(count: int, rounds: int, chosen: Collection[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
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
                rate = measure(contestant, job)
                found.setdefault(name, []).append(rate)
                print(f"round {number + 1}: {name}: {rate:,.0f}/s", flush=True)  # noqa: T201
                admin.delete([job.writes])
        admin.delete([job.reads for job in jobs.values()])
    return found


def report(found: dict[str, list[float]]) -> Sequence[str]:
    median = {name: statistics.median(rates) for name, rates in found.items()}
    rates = [f"{name}: {rate:,.0f} records/s" for name, rate in median.items()]
    ratios = [
        f"{one.__name__} / {other.__name__}: {median[one.__name__] / median[other.__name__]:.2f}"
        for one, other in RATIOS
        if {one.__name__, other.__name__} <= median.keys()
    ]
    return [*rates, *ratios]


def choose(only: Sequence[str], without: Sequence[str]) -> list[str]:
    """Who takes part: Quix Streams where it can be installed."""
    chosen = [name for name in only if not any(name.startswith(family) for family in without)]
    if not any(name.startswith("quix") for name in chosen):
        return chosen
    try:
        quix.install()
    except quix.NotInstalled as reason:
        print(f"Quix Streams cannot be installed, and is left out: {reason}", flush=True)  # noqa: T201
        return [name for name in chosen if not name.startswith("quix")]
    return chosen


def main() -> None:
    names = [contestant.__name__ for contestant in CONTESTANTS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="CONTESTANT")
    parser.add_argument("--without", nargs="+", choices=["quix", "stock"], default=[])
    options = parser.parse_args()
    chosen = choose(options.only, options.without)
    for line in report(bench(options.orders, options.rounds, chosen)):
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
