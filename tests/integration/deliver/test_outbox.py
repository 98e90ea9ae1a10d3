"""Letters that a target keeps reach Kafka once each, whoever ships them, on a real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pytest

from mainstem.deliver import outbox as module
from mainstem.deliver.outbox import Outbox
from mainstem.devstack import Stack
from mainstem.errors import Unreachable
from mainstem.event import Partition
from mainstem.kafka.compacted import read_compacted
from mainstem.kafka.positions import POSITIONS
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.sdk.sink import Claim, Letter, ParkedKey, Transaction

pytestmark = pytest.mark.stack
DEADLINE_S = 120.0
PARTITIONS = 3


@dataclass
class Desk:
    """A target that does nothing but keep letters. Several outboxes may share it, as workers share a database."""

    topic: str
    kept: dict[Partition, list[Letter]] = field(default_factory=lambda: defaultdict(list))
    is_forgetful: bool = True
    """Whether letters that were shipped are deleted; a worker that dies before that leaves them."""

    def put(self, partition: Partition, *offsets: int) -> None:
        self.kept[partition] += [
            Letter(partition, offset, self.topic, b"k", f"{partition.number}:{offset}".encode(), ())
            for offset in offsets
        ]

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        return [letter for letter in self.kept[partition] if letter.offset > after]

    async def forget_letters(self, partition: Partition, through: int) -> None:
        if not self.is_forgetful:
            raise Unreachable("gone before it could forget")
        self.kept[partition] = [letter for letter in self.kept[partition] if letter.offset > through]

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        raise NotImplementedError

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        raise NotImplementedError

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        raise NotImplementedError


@dataclass
class Post:
    """What the tests share: a sink's name, its letters' topic, and its partitions."""

    config: dict[str, Any]
    desk: Desk
    partitions: list[Partition]

    def outbox(self) -> Outbox:
        return Outbox(self.config, self.desk.topic, self.desk, lambda topic: "id")

    def shipped(self) -> list[str]:
        with reading(self.config) as reader:
            found = reader.read(reader.whole([self.desk.topic]))
            return sorted((message.value() or b"").decode() for messages in found for message in messages)


@pytest.fixture
def post(stack: Stack) -> Post:
    config = {"bootstrap.servers": stack.bootstrap, "transaction.timeout.ms": 3000}
    topic = f"test.t{uuid.uuid4().hex}.v1"
    Admin(config).create([TopicSpec(POSITIONS, 1, 1, {"cleanup.policy": "compact"}), TopicSpec(topic, 1)])
    return Post(config, Desk(topic), [Partition(f"{topic}.origin", number) for number in range(PARTITIONS)])


async def until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + DEADLINE_S
    while not await asyncio.to_thread(holds):
        assert monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.fixture
async def reads(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """Every time that positions are read."""
    seen: list[str] = []

    def counted(config: Mapping[str, Any], topic: str) -> dict[bytes, bytes]:
        seen.append(topic)
        return read_compacted(config, topic)

    monkeypatch.setattr(module, "read_compacted", counted)
    yield seen


async def test_letters_of_all_partitions_are_shipped_after_one_look_at_the_positions(
    post: Post, reads: list[str]
) -> None:
    for partition in post.partitions:
        post.desk.put(partition, 5, 7)
    async with post.outbox() as outbox:
        outbox.post(post.partitions)
        await until(lambda: not any(post.desk.kept.values()))
    assert post.shipped() == ["0:5", "0:7", "1:5", "1:7", "2:5", "2:7"]
    assert len(reads) == 1


async def test_a_successor_ships_only_what_the_one_before_it_did_not(post: Post) -> None:
    first, *_ = post.partitions
    post.desk.is_forgetful = False
    post.desk.put(first, 1, 2)
    async with post.outbox() as outbox:
        outbox.post([first])
        await until(lambda: post.shipped() == ["0:1", "0:2"])
    post.desk.is_forgetful = True
    post.desk.put(first, 3)
    async with post.outbox() as successor:
        successor.post([first])
        await until(lambda: not post.desk.kept[first])
    assert post.shipped() == ["0:1", "0:2", "0:3"]


async def test_a_zombie_that_still_believes_to_own_a_partition_ships_nothing_twice(post: Post) -> None:
    first, second, _ = post.partitions
    post.desk.put(first, 1)
    async with post.outbox() as zombie, post.outbox() as successor:
        zombie.post([first, second])
        await until(lambda: not post.desk.kept[first])
        post.desk.put(second, 1)
        successor.post([second])
        await until(lambda: not post.desk.kept[second])
        post.desk.put(second, 2)
        zombie.post([second])
        successor.post([second])
        await until(lambda: not post.desk.kept[second])
        await zombie.leave([second])
    assert post.shipped() == ["0:1", "1:1", "1:2"]


async def test_the_owner_takes_its_letters_back_from_a_zombie_without_being_asked(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETAKE_S", 0.1)
    first, *_ = post.partitions
    async with post.outbox() as owner:
        post.desk.put(first, 1)
        owner.post([first])
        await until(lambda: not post.desk.kept[first])
        async with post.outbox() as zombie:
            post.desk.put(first, 2)
            zombie.post([first])
            await until(lambda: not post.desk.kept[first])
        post.desk.put(first, 3)
        owner.post([first])
        await until(lambda: not post.desk.kept[first])
    assert post.shipped() == ["0:1", "0:2", "0:3"]
