"""How a member of a consumer group is set up: what it keeps in memory, and when it counts as dead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # where to begin is always said; a position that is gone is never jumped over
    "isolation.level": "read_committed",
    "partition.assignment.strategy": "range",  # keeps a topic's and its redrive topic's partitions together
    "session.timeout.ms": 10_000,
    "max.poll.interval.ms": 300_000,
    "fetch.wait.max.ms": 20,  # the broker answers as soon as there is a byte; this bounds only an idle wait
    "fetch.error.backoff.ms": 50,
    "topic.metadata.refresh.interval.ms": 30_000,
    "allow.auto.create.topics": False,
    # What is fetched ahead, over all partitions: a few batches, and one answer of a broker beyond it.
    "queued.max.messages.kbytes": 16_384,
    "queued.min.messages": 20_000,
    "fetch.queue.backoff.ms": 20,  # how soon it is looked again whether there is room
    "fetch.max.bytes": 8 << 20,
    "max.partition.fetch.bytes": 1 << 20,
}
HEARTBEAT_MS = 1_000


def member_settings(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    """The client's properties. What depends on the session fits it: three heartbeats in it, polls no closer."""
    settings = {**DEFAULTS, **config, "group.id": group}
    session_ms = int(settings["session.timeout.ms"])
    return {
        **settings,
        "heartbeat.interval.ms": min(int(settings.get("heartbeat.interval.ms", HEARTBEAT_MS)), session_ms // 3),
        "max.poll.interval.ms": max(int(settings["max.poll.interval.ms"]), session_ms),
    }
