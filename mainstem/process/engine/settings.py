"""What the engine is told, and what it tells Faust."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

LONG_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Login:
    """SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""

    mechanism: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One stream's place in Kafka."""

    group: str
    topic: str
    bootstrap: str
    """`host:port`, several with commas."""
    folder: Path
    """Where Faust may make its own folders; nothing of worth is kept there."""
    member: str | None = None
    """A name that outlives the process (KIP-345): a successor takes the partitions over at once, instead of when the
    session of the one that was killed has timed out. Nobody else in the group may have it."""
    login: Login | None = None
    tls: ssl.SSLContext | None = None
    session_timeout_s: float = 10.0
    """Without a sign of life for that long, a member is dead and its partitions go to others."""
    batch: int = 500
    """Records in one step at most. A step takes what has arrived: it never waits for a batch to fill."""
    drain_s: float = 5.0
    """How long a rebalance or a stop waits for the batch under way; what is not done by then is read again."""


def credentials(settings: EngineSettings) -> CredentialsT | None:
    """Faust's form of login and TLS."""
    if settings.login is not None:
        login = settings.login
        return SASLCredentials(
            username=login.username, password=login.password, mechanism=login.mechanism, ssl_context=settings.tls
        )
    return SSLCredentials(settings.tls) if settings.tls is not None else None


def faust_options(settings: EngineSettings) -> dict[str, Any]:
    """Faust's settings, each with the reason why it is not the default."""
    return {
        "broker": [f"aiokafka://{server.strip()}" for server in settings.bootstrap.split(",")],
        "broker_credentials": credentials(settings),
        "consumer_group_instance_id": settings.member,
        "datadir": settings.folder,
        # Bytes in, bytes out: the codec is the caller's.
        "key_serializer": "raw",
        "value_serializer": "raw",
        "store": "memory://",
        # At-least-once: inputs are acknowledged by hand when their outputs are durable. A short interval keeps
        # small what is read again after a crash.
        "processing_guarantee": "at_least_once",
        "broker_commit_interval": 0.5,
        "stream_wait_empty": True,
        "stream_publish_on_commit": False,
        "producer_acks": -1,
        "producer_linger": 0.0,  # a step's outputs are handed over together; waiting for more would only add latency
        "producer_request_timeout": 30.0,  # Faust's 20 minutes would hide a dead broker; its end is a restart
        "producer_max_request_size": 8 * 1024 * 1024,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": 4 * 1024 * 1024,
        "stream_buffer_maxsize": 4 * settings.batch,
        # A paused stream keeps its partitions for as long as a person needs; a dead one loses them with its session.
        "broker_session_timeout": settings.session_timeout_s,
        "broker_heartbeat_interval": min(2.0, settings.session_timeout_s / 3),
        "broker_rebalance_timeout": 20.0,
        "broker_request_timeout": max(30.0, settings.session_timeout_s),  # Faust wants it no shorter
        "broker_max_poll_interval": LONG_S,
        "stream_processing_timeout": LONG_S,
        "broker_commit_livelock_soft_timeout": LONG_S,
        # Topics are made by `mainstem apply`, never by a stream; there is no leader, so no topic for it.
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "stream_recovery_delay": 0.0,
        "web_enabled": False,
    }
