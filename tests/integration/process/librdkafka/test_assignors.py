"""Why only `range` is let through: which assignors give equal partitions of two topics to the same member."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any

import pytest
from confluent_kafka import Consumer

from mainstem.devstack import Stack
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.process.librdkafka.clients import consumer_settings
from mainstem.process.librdkafka.options import EngineOptions

pytestmark = pytest.mark.stack

PATIENCE_S = 60.0


@pytest.fixture
def topics(stack: Stack) -> list[str]:
    tag = uuid.uuid4().hex[:8]
    names = [f"test.orders{tag}.v1", f"test.payments{tag}.v1"]
    Admin({"bootstrap.servers": stack.bootstrap}).create([TopicSpec(name, 3) for name in names])
    return names


@pytest.fixture
def open_members() -> Iterator[ExitStack]:
    with ExitStack() as members:
        yield members


def settled(settings: dict[str, Any], topics: list[str], members: ExitStack) -> bool:
    """Whether two members have equal partitions of both topics, once all are given out and each has some."""
    consumers = [Consumer(settings) for _ in range(2)]
    for consumer in consumers:
        members.callback(consumer.close)
        consumer.subscribe(topics)
    deadline = monotonic() + PATIENCE_S
    while True:
        assert monotonic() < deadline
        for consumer in consumers:
            consumer.poll(0.1)
        places = [{(place.topic, place.partition) for place in consumer.assignment()} for consumer in consumers]
        if all(places) and sum(map(len, places)) == 6:
            numbers = [[{number for topic, number in mine if topic == name} for name in topics] for mine in places]
            return all(one == other for one, other in numbers)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_the_engines_own_settings_keep_equal_partitions_together(
    stack: Stack, topics: list[str], open_members: ExitStack, protocol: Any
) -> None:
    options = EngineOptions(group_protocol=protocol)
    settings = consumer_settings(stack.bootstrap, f"test.{uuid.uuid4().hex}", 6.0, options)
    assert settled(settings, topics, open_members)


@pytest.mark.parametrize(
    "assignor",
    [
        {"partition.assignment.strategy": "cooperative-sticky"},
        {"group.protocol": "consumer", "group.remote.assignor": "uniform"},
    ],
    ids=["cooperative-sticky", "uniform"],
)
def test_the_assignors_that_are_refused_spread_them(
    stack: Stack, topics: list[str], open_members: ExitStack, assignor: dict[str, Any]
) -> None:
    settings = {"bootstrap.servers": stack.bootstrap, "group.id": f"test.{uuid.uuid4().hex}", **assignor}
    assert not settled(settings, topics, open_members)
