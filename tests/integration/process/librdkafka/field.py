"""Workers that fall over and are started again, the events that they get, and what a reader sees in the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from mainstem.errors import Retryable
from mainstem.kafka.failure import failure
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec

APP = Path(__file__).parent / "worker_app.py"
REPOSITORY = Path(__file__).parents[4]
PARTITIONS = 3
KEYS = 20
DEADLINE_S = 240.0
LOOK_S = 0.1

Fault = tuple[str, str, float]


@dataclass
class Field:
    """One app on topics of its own. Its workers fall over as `faults` says: the n-th life has the n-th fault."""

    bootstrap: str
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asleep_s: float = 0.0
    """How long a worker that has stopped itself stays so."""

    def __post_init__(self) -> None:
        self.tag = uuid.uuid4().hex[:8]
        self.reads, self.writes = f"test.in{self.tag}.v1", f"test.out{self.tag}.v1"
        self.app = f"test.app{self.tag}"
        self.letters = f"{self.app}-dead-letters"
        self.create(self.reads, self.writes)
        self.lives: Counter[str] = Counter()
        self.ends: Counter[int] = Counter()
        self.sleeps = 0
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._asleep: dict[int, float] = {}

    def create(self, *topics: str) -> None:
        """Topics that keep all: events of years ago would be deleted within minutes, whoever has read them."""
        Admin(self.config).create([TopicSpec(name, PARTITIONS, config={"retention.ms": "-1"}) for name in topics])

    @property
    def config(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.bootstrap}

    def publish(self, events: Iterable[dict[str, Any]], topic: str = "") -> None:
        """Into the topic that the workers read, if no other is named. `at_s` of an event is its time."""
        producer = Producer({**self.config, "partitioner": "murmur2_random", "enable.idempotence": True})
        for event in events:
            more: dict[str, Any] = {"timestamp": int(event["at_s"] * 1000)} if "at_s" in event else {}
            producer.produce(topic or self.reads, json.dumps(event), event["key"], **more)
        assert producer.flush(30) == 0

    def publish_as_it_is(self, key: str, value: bytes) -> None:
        producer = Producer(self.config)
        producer.produce(self.reads, value, key)
        assert producer.flush(30) == 0

    def start(self, *members: str) -> None:
        for member in members:
            self._start(member)

    def start_together(self, *members: str) -> None:
        """And waits until each of them has partitions: of what is published then, each has something to do."""
        self.start(*members)
        self.tend_until(lambda: self.sharing() == len(members))

    def sharing(self) -> int:
        """Between how many workers the partitions are divided; 0 while some are with nobody, or nobody knows."""
        admin = AdminClient(self.config)  # it answers only while it is there
        try:
            described = admin.describe_consumer_groups([self.app])[self.app].result(30)
        except KafkaException as error:
            if isinstance(failure(error, "asking who is there"), Retryable):
                return 0  # the coordinator of a new group is still loading
            raise
        places = [len(member.assignment.topic_partitions) for member in described.members]
        return sum(map(bool, places)) if sum(places) == PARTITIONS else 0

    def _start(self, member: str) -> None:
        fault = self.faults.pop(0) if self.faults else None
        settings = {
            "app": self.app,
            "member": member,
            "bootstrap": self.bootstrap,
            "reads": self.reads,
            "writes": self.writes,
            "datadir": str(self.folder / member),
            "fault": fault,
            **self.settings,
        }
        self.lives[member] += 1
        with (self.folder / f"{member}.log").open("ab") as log:
            self._workers[member] = subprocess.Popen(
                [sys.executable, str(APP), json.dumps(settings)],
                cwd=REPOSITORY,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def run_until_done(self) -> None:
        """Starts again what has ended and wakes what has slept enough, until the group has read all. Then stops all."""
        with Group(self.config, self.app, self.reads) as group:
            self.tend_until(lambda: not (self.faults or group.lag() or self._is_one_asleep()))
        self.stop()

    def tend_until(self, holds: Callable[[], bool]) -> None:
        deadline = monotonic() + DEADLINE_S
        while not holds():
            assert monotonic() < deadline, self.report()
            self._tend()
            sleep(LOOK_S)

    def _tend(self) -> None:
        for member, worker in list(self._workers.items()):
            if (code := worker.poll()) is not None:
                self.ends[code] += 1
                self._start(member)
            elif _state(worker.pid) == "T":
                since = self._asleep.setdefault(worker.pid, monotonic())
                if monotonic() - since > self.asleep_s:
                    self.sleeps += 1
                    del self._asleep[worker.pid]
                    worker.send_signal(signal.SIGCONT)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = monotonic() + DEADLINE_S
        while not holds():
            assert monotonic() < deadline, self.report()
            sleep(LOOK_S)

    def kill_after_its_first_outputs(self, member: str) -> None:
        """Kills it when there are more outputs than there were, and starts it again at once."""
        before = len(self.outputs()) if self.lives[member] > 1 else 0
        self.wait_until(lambda: len(self.outputs()) > before)
        self.kill(member)

    def kill(self, member: str) -> None:
        """And starts it again at once."""
        self._workers[member].kill()
        self._workers[member].wait()
        self.ends[-9] += 1
        self._start(member)

    def running(self) -> set[str]:
        """The workers that have not ended."""
        return {member for member, worker in self._workers.items() if worker.poll() is None}

    def end(self, member: str) -> None:
        """Asks one to stop, for good, and waits until it has."""
        worker = self._workers.pop(member)
        worker.terminate()
        worker.wait(30)

    def kill_for_good(self, member: str) -> None:
        worker = self._workers.pop(member)
        worker.kill()
        worker.wait()

    def restored(self, member: str) -> list[int]:
        """How many changelog records each of its recoveries has read."""
        text = (self.folder / f"{member}.log").read_text()
        return [int(count) for count in re.findall(r"restored (\d+) changelog records", text)]

    def _is_one_asleep(self) -> bool:
        return any(_state(worker.pid) == "T" for worker in self._workers.values())

    def stop(self) -> None:
        """Asks all to stop, and kills those that do not."""
        for worker in self._workers.values():
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self._workers.values():
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def outputs(self) -> list[dict[str, Any]]:
        """What a read_committed reader sees, in order within each partition."""
        return [json.loads(value or b"null") for _, value, _ in self.whole(self.writes)]

    def dead_letters(self) -> list[tuple[int, dict[str, bytes]]]:
        """The id and the headers of each."""
        return [(json.loads(value)["id"], headers) for _, value, headers in self.whole(self.letters) if value]

    def table(self) -> dict[str, int]:
        """What the changelog says of each key in the end."""
        changelog = self.whole(f"{self.app}-counts-changelog")
        return {json.loads(key): json.loads(value)["n"] for key, value, _ in changelog if key and value}

    def whole(self, topic: str) -> list[tuple[bytes | None, bytes | None, dict[str, bytes]]]:
        found = []
        with reading(self.config) as reader:
            for batch in reader.read(reader.whole([topic])):
                found += [(m.key(), m.value(), cast(dict[str, bytes], dict(m.headers() or []))) for m in batch]
        return found

    def log(self, member: str) -> str:
        """What it has said in all of its lives."""
        return (self.folder / f"{member}.log").read_text()

    def told(self, member: str) -> list[dict[str, Any]]:
        """What its observer heard, in order."""
        path = self.folder / member / "told.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def report(self) -> str:
        logs = "\n".join(self.log(member)[-3000:] for member in self.lives)
        return f"lives {dict(self.lives)}, ends {dict(self.ends)}, woken {self.sleeps}\n{logs}"


class Group:
    """How far a group is behind what is in the topic now."""

    def __init__(self, config: dict[str, Any], group: str, topic: str) -> None:
        settings = {**config, "group.id": group, "isolation.level": "read_committed", "enable.auto.commit": False}
        self._client = Consumer(settings)
        self._places = [TopicPartition(topic, number) for number in range(PARTITIONS)]

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def lag(self) -> int:
        ends = [self._client.get_watermark_offsets(place, timeout=10)[1] for place in self._places]
        # Not read_committed's committed(): that waits for the end of a dead worker's transaction.
        found = self._client.committed(self._places, timeout=30)
        return sum(end - max(0, place.offset) for end, place in zip(ends, found, strict=True))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def events(count: int, **marks: range | set[int]) -> list[dict[str, Any]]:
    """Numbered events over KEYS keys; `poison={3, 4}` marks those two."""
    made: list[dict[str, Any]] = [{"id": number, "key": f"k{number % KEYS}"} for number in range(count)]
    for mark, numbers in marks.items():
        for number in numbers:
            made[number][mark] = True
    return made


def assert_each_once(field: Field, ids: Iterable[int]) -> None:
    seen = Counter(output["id"] for output in field.outputs())
    wanted = set(ids)
    lost, doubled = wanted - seen.keys(), {number for number, times in seen.items() if times > 1}
    assert (lost, doubled, seen.keys() - wanted) == (set(), set(), set()), field.report()


def assert_in_order(field: Field) -> None:
    """Of each key."""
    last: dict[str, int] = defaultdict(lambda: -1)
    for output in field.outputs():
        assert output["id"] > last[output["key"]], field.report()
        last[output["key"]] = output["id"]


def assert_counts_exact(field: Field, ids: Iterable[int]) -> None:
    """Each key was counted 1, 2, 3, ..., and the changelog has the last number."""
    counts: dict[str, list[int]] = defaultdict(list)
    for output in field.outputs():
        counts[output["key"]].append(output["count"])
    wrong = {key for key, numbers in counts.items() if numbers != list(range(1, len(numbers) + 1))}
    assert wrong == set(), field.report()
    assert field.table() == dict(Counter(f"k{number % KEYS}" for number in ids)), field.report()


__all__ = ["Fault", "Field", "assert_counts_exact", "assert_each_once", "assert_in_order", "events"]
