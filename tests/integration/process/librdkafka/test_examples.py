"""The examples of Faust's documentation (user guide: agents, streams, channels, tasks; command line) on this engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from confluent_kafka import Producer

from mainstem.devstack import Stack
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec

pytestmark = pytest.mark.stack

APP = Path(__file__).parent / "examples_app.py"
REPOSITORY = Path(__file__).parents[4]
ORDERS = 200
PATIENCE_S = 90.0


@dataclass
class Examples:
    """The app, its worker, and what it has told."""

    bootstrap: str
    folder: Path
    guarantee: str
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.orders = f"test.orders{self.tag}.v1"
        self.told_in = f"test.told{self.tag}.v1"
        through = f"test.through{self.tag}.v1"
        Admin(self._config).create([TopicSpec(name, 3) for name in (self.orders, self.told_in, through)])
        self._worker: subprocess.Popen[bytes] | None = None

    @property
    def _config(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.bootstrap}

    @property
    def _environment(self) -> dict[str, str]:
        settings = {
            "tag": self.tag,
            "bootstrap": self.bootstrap,
            "guarantee": self.guarantee,
            "datadir": str(self.folder / "data"),
        }
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), "EXAMPLES": json.dumps(settings)}

    def command(self, *words: str) -> str:
        """What a command of Faust prints."""
        done = subprocess.run(
            [sys.executable, str(APP), *words],
            cwd=REPOSITORY,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        with (self.folder / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                [sys.executable, str(APP), "worker", "-l", "info", "--without-web"],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def once(self, numbers: list[int]) -> list[int]:
        """In order, each once. At least once they may be repeated: the first `ask` subscribes to the replies, and what
        only some of the agents have done by then is done again by all."""
        return sorted(numbers if self.guarantee == "exactly_once" else set(numbers))

    def stop(self) -> None:
        if self._worker is None:
            return
        self._worker.terminate()
        try:
            self._worker.wait(20)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()

    def publish(self, count: int) -> None:
        producer = Producer({**self._config, "partitioner": "murmur2_random", "enable.idempotence": True})
        for number in range(count):
            order = {"number": number, "account": f"a{number % 7}", "amount": number % 10}
            producer.produce(self.orders, json.dumps(order), f"k{number % 5}")
        assert producer.flush(30) == 0

    def told(self) -> dict[str, list[dict[str, Any]]]:
        """By example; in order within each partition."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        with reading(self._config) as reader:
            for batch in reader.read(reader.whole([self.told_in])):
                for message in batch:
                    one = json.loads(message.value() or b"{}")
                    found[one["example"]].append(one)
        return found

    def wait_until(self, holds: Callable[[dict[str, list[dict[str, Any]]]], bool]) -> None:
        deadline = monotonic() + PATIENCE_S
        while not holds(found := self.told()):
            counts = {example: len(told) for example, told in found.items()}
            assert monotonic() < deadline, f"{counts}\n{(self.folder / 'worker.log').read_text()[-8000:]}"
            sleep(0.2)


@pytest.fixture(params=["at_least_once", "exactly_once"])
def examples(request: pytest.FixtureRequest, stack: Stack, tmp_path: Path) -> Iterator[Examples]:
    examples = Examples(stack.bootstrap, tmp_path, request.param)
    yield examples
    examples.stop()


def test_the_examples_of_the_user_guide_do_what_it_says(examples: Examples) -> None:
    examples.publish(ORDERS)
    examples.start()
    examples.wait_until(
        lambda told: (
            all(
                len(told[example]) >= ORDERS
                for example in ("concurrency", "group_by", "through", "items", "sink", "isolated")
            )
            and sum(len(one["numbers"]) for one in told["take"]) >= ORDERS
            and len(told["enumerate"]) >= ORDERS
            and len(told["filter"]) >= ORDERS // 2
            and len(told["timer"]) >= 2
            and len(told["crontab"]) >= 2
            and len(told["map"]) >= 1
            and len(told["double"]) >= 5
        )
    )
    told = examples.told()
    every = list(range(ORDERS))
    for example in ("concurrency", "group_by", "through", "items", "sink", "enumerate", "isolated"):
        assert examples.once([one["number"] for one in told[example]]) == every, example
    assert examples.once([number for one in told["take"] for number in one["numbers"]]) == every
    assert max(len(one["numbers"]) for one in told["take"]) == 10
    assert examples.once([one["number"] for one in told["filter"]]) == [n for n in every if n % 10 >= 5]
    assert {one["key"] for one in told["items"]} == {f"k{number}" for number in range(5)}
    assert {one["index"] for one in told["enumerate"]} >= set(every)
    places: dict[str, set[int]] = defaultdict(set)
    for one in told["group_by"]:
        places[one["account"]].add(one["place"])
    assert {len(found) for found in places.values()} == {1}, "an account is in one partition"
    streams = {(one["stream"], one["place"]) for one in told["isolated"]}
    assert len(streams) == len(dict(streams)), "a stream is of one partition"
    if examples.guarantee == "exactly_once":
        totals: Counter[str] = Counter()
        for one in told["group_by"]:
            totals[one["account"]] = max(totals[one["account"]], one["total"])
        assert totals == {f"a{a}": sum(n % 10 for n in every if n % 7 == a) for a in range(7)}
    assert [one["answer"] for one in told["ask"]] == [42]
    assert [one["answers"] for one in told["map"]] == [[2, 4, 6]]
    assert examples.once([one["number"] for one in told["double"]]) == [1, 2, 3, 21, 100]


def test_the_commands_send_and_list_and_reset(examples: Examples) -> None:
    assert "examples_app.double" in examples.command("agents", "--local")
    assert "Order" in examples.command("models")
    assert "amount" in examples.command("model", "Order")
    assert "accounts" in examples.command("tables")
    assert "accounts" in examples.command("reset")
    order = json.dumps({"number": 7, "account": "a1", "amount": 9})
    sent = json.loads(examples.command("send", "--key", "k1", examples.orders, order).splitlines()[-1])
    assert (sent["topic"], sent["offset"]) == (examples.orders, 0)
    examples.start()
    examples.wait_until(lambda told: len(told["filter"]) == 1 and len(told["map"]) == 1)
    examples.command("send", "@double", "8")
    examples.wait_until(lambda told: 8 in {one["number"] for one in told["double"]})
    assert [one["number"] for one in examples.told()["items"]] == [7]
