"""Where each source stands: one record per source in a compacted topic, written with the events that lead up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mainstem.kafka import positions
from mainstem.kafka.positions import POSITIONS
from mainstem.kafka.record import Record
from mainstem.sdk.source import Position


@dataclass(frozen=True, slots=True)
class Stored:
    """A source's position, and Kafka's id of the topic that its events are in."""

    position: Position
    topic_id: str

    def holds_for(self, topic_id: str) -> bool:
        """A topic that was deleted and made again is another topic, and lacks what was read before."""
        return self.topic_id == topic_id


def position_record(source: str, stored: Stored) -> Record:
    """The record to write in the transaction of the events before it."""
    value = orjson.dumps({"position": dict(stored.position), "topic_id": stored.topic_id})
    return Record(POSITIONS, source.encode(), value)


def read_position(config: Mapping[str, Any], source: str) -> Stored | None:
    """The source's last committed position. Blocks: call it from a worker thread.

    Read after its transactional id was taken over. Raises Unreachable, and Misconfigured (MS-206) when there is no
    positions topic.
    """
    found = positions.read_position(config, source)
    return None if found is None else Stored(found["position"], found["topic_id"])
