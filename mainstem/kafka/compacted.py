"""A small compacted topic as the mapping that it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstem.errors import KAFKA_UNREACHABLE, Unreachable
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin


def read_compacted(config: Mapping[str, Any], topic: str) -> dict[bytes, bytes]:
    """The last committed value under each key; tombstones take their key out. Blocks.

    Reads to the high watermark, not to the last stable offset: somebody else's open transaction would hide committed
    records behind it, and the one who takes over would go on from a stale position (KAFKA-10167). It waits for such a
    transaction, at most for its timeout. Raises Unreachable, and Misconfigured (MS-206) when there is no such topic.
    """
    latest: dict[bytes, bytes] = {}
    with reading(config) as reader:
        partitions = reader.partitions(topic)
        ends = Admin(config).ends(partitions)
        if len(ends) < len(partitions):  # going on without one would be going on from a stale value
            raise Unreachable(f"not every partition of {topic} answers", code=KAFKA_UNREACHABLE)
        for messages in reader.read({p: (reader.bounds(p)[0], ends[p]) for p in partitions}):
            for message in messages:
                key, value = message.key() or b"", message.value()
                if value is None:
                    latest.pop(key, None)
                else:
                    latest[key] = value
    return latest
