"""What the engine is told, and what it tells Faust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainstem.process.librdkafka import EngineOptions

SERVERS = "bootstrap.servers"
STALL_S = 300.0
"""A function without an await that takes that long, as one call, is taken for one that hangs."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One stream's place in Kafka."""

    group: str
    topic: str
    client: Mapping[str, Any] = field(repr=False)
    """librdkafka's properties: `bootstrap.servers`, and TLS and SASL where they are used."""
    folder: Path
    """Where Faust may make its own folders; nothing of worth is kept there."""
    member: str
    """A name that outlives the process: a successor fences its predecessor and takes its partitions over at once,
    instead of when the session of the one that was killed has timed out. Nobody else may have it."""
    session_timeout_s: float = 10.0
    """Without a sign of life for that long, a member is dead and its partitions go to others."""
    batch: int = 500
    """Records in one step at most. A step takes what has arrived: it never waits for a batch to fill."""
    commit_ms: int = 50
    """What is done is committed, and its outputs become visible, about that often."""


def engine_options(settings: EngineSettings) -> EngineOptions:
    """The engine's own settings."""
    return EngineOptions(
        member=settings.member,
        batch=settings.batch,
        ahead=4 * settings.batch,
        epoch_ms=settings.commit_ms,
        stall_s=STALL_S,
        client={name: value for name, value in settings.client.items() if name != SERVERS},
    )


def faust_options(settings: EngineSettings) -> dict[str, Any]:
    """Faust's settings, each with the reason why it is not the default."""
    return {
        "broker": [f"librdkafka://{server.strip()}" for server in settings.client[SERVERS].split(",")],
        "datadir": settings.folder,
        # Bytes in, bytes out: the codec is the caller's.
        "key_serializer": "raw",
        "value_serializer": "raw",
        "store": "memory://",
        "processing_guarantee": "exactly_once",
        "broker_session_timeout": settings.session_timeout_s,
        "stream_buffer_maxsize": 4,  # batches
        # Topics are made by `mainstem apply`, never by a stream; there is no leader, so no topic for it.
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "stream_recovery_delay": 0.0,
        "web_enabled": False,
    }
