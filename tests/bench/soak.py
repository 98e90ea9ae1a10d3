"""Memory and file descriptors of an exactly-once and an at-least-once step, stalled and over a long time. Linux only.

    python -m tests.bench.soak                                 # both, 26 minutes
    python -m tests.bench.soak --stalled 300 --soak 0          # an output topic that takes nothing, for 5 minutes each
    python -m tests.bench.soak --stalled 0 --soak 1200         # 20 minutes at 2,000 orders a second, with a table

Stalled: the input holds more than the worker may have in memory, and the output topic asks for two replicas in sync,
of which it has one: Kafka refuses every record, as when a replica is down. The worker is started again when it ends.
When the topic takes records again, all have to come: exactly once, or at least. Exits with 1 when the worker had
500 MB or more, or when in the soak its memory or its descriptors grew.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka import admin as untyped

from mainstem import devstack
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec
from tests.bench.order_step import encode
from tests.bench.orders import orders
from tests.bench.soak_worker import PARTITIONS, Job, Sample, Worker

kafka: Any = untyped
REPOSITORY = Path(__file__).parent.parent.parent
BOUND_BYTES = 500_000_000
FILLING_BYTES = 600 << 20
FILLING_RECORDS = 1_000_000
GROWTH = 1.05
"""Of the median memory of the last quarter over that of the second one: less is flat."""
LINES = 12
LOOK_S = 0.5
GIVE_UP_S = 600.0
SMALL_SEGMENTS = {"segment.bytes": str(16 << 20), "retention.bytes": str(64 << 20)}


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def values(note_bytes: int) -> list[bytes]:
    """Some orders, each with a note of that length."""
    note = "n" * note_bytes or None
    return [encode({**order, "note": note}) for order in orders(100 if note else 2000)]


def fill(bootstrap: str, topic: str, note_bytes: int) -> int:
    """As much as the worker may not take into memory at once. The number of records."""
    made = values(note_bytes)
    count = min(FILLING_BYTES // len(made[0]), FILLING_RECORDS)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.kbytes": 100_000})
    for number in range(count):
        while True:
            try:
                producer.produce(topic, made[number % len(made)], str(number))
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    return count


def load(bootstrap: str, topic: str, rate: int, seconds: float) -> None:
    """An even rate."""
    made = values(0)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20})
    began = time.monotonic()
    for number in range(int(rate * seconds)):
        while (early_s := began + number / rate - time.monotonic()) > 0:
            producer.poll(0)
            time.sleep(max(early_s, 0.01))
        producer.produce(topic, made[number % len(made)], str(number))
    producer.flush()


class Scene:
    """The stack's Kafka, and what the runs ask of it."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._config: dict[str, Any] = {"bootstrap.servers": bootstrap}
        self.admin = Admin(self._config)

    def job(self, folder: str, guarantee: str, *, has_table: bool = False, **topic: str) -> Job:
        """For fresh topics."""
        tag = uuid.uuid4().hex[:8]
        job = Job(self.bootstrap, f"soak.in{tag}.v1", f"soak.out{tag}.v1", f"soak.{tag}", folder, guarantee, has_table)
        self.admin.create([TopicSpec(name, PARTITIONS, 1, topic) for name in (job.reads, job.writes)])
        return job

    def insist(self, topic: str, replicas: int) -> None:
        """A record needs so many replicas from now on."""
        wanted = kafka.ConfigEntry(
            "min.insync.replicas", str(replicas), incremental_operation=kafka.AlterConfigOpType.SET
        )
        resource = kafka.ConfigResource(kafka.ResourceType.TOPIC, topic, incremental_configs=[wanted])
        admin = kafka.AdminClient(self._config)  # it answers only while it is there
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(30)

    def keys(self, topic: str) -> Iterator[bytes | None]:
        """As a read_committed reader sees them."""
        with reading(self._config) as reader:
            for batch in reader.read(reader.whole([topic])):
                yield from (message.key() for message in batch)

    def lag(self, job: Job) -> int:
        client = Consumer({**self._config, "group.id": job.group})
        places = [TopicPartition(job.reads, number) for number in range(PARTITIONS)]
        try:
            ends = [client.get_watermark_offsets(place, timeout=30)[1] for place in places]
            found = client.committed(places, timeout=30)
        finally:
            client.close()
        return sum(end - max(0, place.offset) for end, place in zip(ends, found, strict=True))


def watch(worker: Worker, seconds: float) -> list[Sample]:
    """What is seen of it in that time, some of it printed."""
    began, seen, said_s = time.monotonic(), list[Sample](), 0.0
    while (after_s := time.monotonic() - began) < seconds:
        worker.tend()
        if (sample := worker.look()) is not None:
            seen.append(sample)
            if after_s >= said_s:
                say(f"  {sample}  life {worker.lives}")
                said_s += seconds / LINES
        time.sleep(LOOK_S)
    return seen


def until(holds: Callable[[], bool], worker: Worker, what: str) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} has not happened")
        worker.tend()
        worker.look()
        time.sleep(LOOK_S)


def stalled(scene: Scene, job: Job, seconds: float, note_bytes: int) -> bool:
    """Whether its memory stayed in its bound, and everything came."""
    count = fill(scene.bootstrap, job.reads, note_bytes)
    say(f"stalled for {seconds:g} s, {job.guarantee}: {count:,} orders with notes of {note_bytes:,} bytes")
    with Worker(job) as worker:
        until(lambda: scene.lag(job) < count, worker, "a first commit")
        scene.insist(job.writes, 2)
        watch(worker, seconds)
        lives = worker.lives
        scene.insist(job.writes, 1)
        until(lambda: not scene.lag(job), worker, "the last commit")
        most = max(sample.most_bytes for sample in worker.samples)
    times = Counter(scene.keys(job.writes))
    doubled = sum(times.values()) - len(times)
    is_whole = len(times) == count and (not doubled or job.guarantee == "at_least_once")
    say(
        f"  most {most / 1e6:.0f} MB, {lives} lives while stalled; of {count:,} orders {count - len(times):,} lost, "
        f"{doubled:,} doubled: {'good' if is_whole and most < BOUND_BYTES else 'BAD'}"
    )
    return is_whole and most < BOUND_BYTES


def soak(scene: Scene, job: Job, seconds: float, rate: int) -> bool:
    """Whether memory and descriptors were flat after the first quarter, and all was done by one life of the worker."""
    say(f"soak of {seconds:g} s at {rate:,} orders a second, {job.guarantee}, with a table")
    arguments = (scene.bootstrap, job.reads, rate, seconds)
    with Worker(job) as worker:
        loading = multiprocessing.get_context("spawn").Process(target=load, args=arguments)
        loading.start()
        seen = watch(worker, seconds)
        loading.join()
        until(lambda: not scene.lag(job), worker, "the last commit")
    quarter = len(seen) // 4
    early, late = seen[quarter : 2 * quarter], seen[-quarter:]
    memory = [statistics.median(one.rss_bytes for one in part) for part in (early, late)]
    files = [max(one.files for one in part) for part in (early, late)]
    is_flat = memory[1] <= memory[0] * GROWTH and files[1] <= files[0] and worker.lives == 1
    say(
        f"  second quarter {memory[0] / 1e6:.1f} MB and {files[0]} files, last quarter {memory[1] / 1e6:.1f} MB and "
        f"{files[1]} files, {worker.lives} life: {'flat' if is_flat else 'NOT FLAT'}"
    )
    return is_flat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--stalled", type=float, default=300)
    parser.add_argument("--soak", type=float, default=1200)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--notes", type=int, nargs="+", default=[0], help="bytes of each order's note when stalled")
    parser.add_argument("--guarantees", nargs="+", default=["exactly_once", "at_least_once"])
    options = parser.parse_args()
    good: list[bool] = []
    with devstack.shared(REPOSITORY / ".mainstem" / "test") as running, tempfile.TemporaryDirectory() as folder:
        scene = Scene(running.stack.bootstrap)
        for guarantee in options.guarantees if options.stalled else ():
            good += [
                stalled(scene, scene.job(folder, guarantee), options.stalled, note_bytes)
                for note_bytes in options.notes
            ]
        if options.soak:
            job = scene.job(folder, "exactly_once", has_table=True, **SMALL_SEGMENTS)
            good.append(soak(scene, job, options.soak, options.rate))
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
