"""Where each source stands: one record per source in a compacted topic, written with the events that lead up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mainstem.event import Partition
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.project.names import internal
from mainstem.sdk.source import Position

POSITIONS = internal("positions")


@dataclass(frozen=True, slots=True)
class Stored:
    """A source's position, and Kafka's id of the topic that its events are in."""

    position: Position
    topic_id: str

    def holds_for(self, topic_id: str) -> bool:
        """A topic that was deleted and made again is another topic, and lacks what was read before."""
        return self.topic_id == topic_id


def positions_topic(replication: int) -> TopicSpec:
    """The topic as it should be: one partition, for it is small and is read as a whole."""
    return TopicSpec(POSITIONS, 1, replication, {"cleanup.policy": "compact"})


def position_record(source: str, stored: Stored) -> Record:
    """The record to write in the transaction of the events before it."""
    value = orjson.dumps({"position": dict(stored.position), "topic_id": stored.topic_id})
    return Record(POSITIONS, source.encode(), value)


def read_position(config: Mapping[str, Any], source: str) -> Stored | None:
    """The source's last committed position. Blocks: call it from a worker thread.

    Read after its transactional id was taken over. Another source's open transaction hides what stands behind it from
    read_committed readers, so the end is asked for without regard to transactions, and waited for: at most the
    transactions' timeout. Raises Unreachable, and Misconfigured (MS-206) when there is no positions topic.
    """
    last: bytes | None = None
    with reading(config) as reader:
        partitions = reader.partitions(POSITIONS)
        ends = Admin(config).ends(partitions)
        ranges: dict[Partition, tuple[int, int]] = {p: (reader.bounds(p)[0], ends[p]) for p in partitions}
        for messages in reader.read(ranges):
            for message in messages:
                if message.key() == source.encode():
                    last = message.value()
    if not last:
        return None
    found = orjson.loads(last)
    return Stored(found["position"], found["topic_id"])
