"""The event ids at a topic's end: a gateway that starts again still knows what it has published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstem.codec.headers import ID
from mainstem.event import Partition
from mainstem.kafka.reader import reading


def tail_ids(config: Mapping[str, Any], topic: str, count: int) -> list[str]:
    """About the last `count` ids over all partitions, oldest first. Blocks: call it from a worker thread.

    Values are fetched with the headers, for Kafka cannot leave them out, but not decoded. Raises Unreachable, and
    Misconfigured (MS-206) when there is no such topic.
    """
    found: list[tuple[int, str]] = []
    with reading(config) as reader:
        ranges = tails(reader.whole([topic]), count)
        for messages in reader.read(ranges):
            for message in messages:
                event_id = dict(message.headers() or ()).get(ID)
                if isinstance(event_id, bytes):
                    found.append((message.timestamp()[1], event_id.decode(errors="replace")))
    found.sort(key=lambda pair: pair[0])
    return [event_id for _, event_id in found]


def tails(bounds: Mapping[Partition, tuple[int, int]], count: int) -> dict[Partition, tuple[int, int]]:
    """The last offsets of each partition, `count` in all: equal shares; what a short one leaves goes to the others."""
    left = count
    ranges = {}
    by_size = sorted(bounds.items(), key=lambda item: item[1][1] - item[1][0])
    for done, (partition, (low, high)) in enumerate(by_size):
        share = min(high - low, left // (len(by_size) - done))
        ranges[partition] = (high - share, high)
        left -= share
    return ranges
