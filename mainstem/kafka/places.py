"""Partitions in the client library's words."""

from __future__ import annotations

from collections.abc import Collection

from confluent_kafka import TopicPartition

from mainstem.event import Partition


def places(partitions: Collection[Partition]) -> list[TopicPartition]:
    """For a call of the library."""
    return [TopicPartition(*partition) for partition in partitions]


def partitions_of(found: Collection[TopicPartition]) -> set[Partition]:
    """What a call of the library gave."""
    return {Partition(place.topic, place.partition) for place in found}
