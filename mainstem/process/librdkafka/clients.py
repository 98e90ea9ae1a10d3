"""The properties of librdkafka's clients, each with the reason why it is not the default."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mainstem.kafka.transaction_calls import settings as transaction_settings
from mainstem.process.librdkafka.options import EngineOptions

MESSAGES: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 5,
    "batch.num.messages": 10_000,
    # What waits while an output takes nothing: memory. Whoever writes more waits too, and so does the consumer.
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 65_536,
    # As Kafka's Java clients and Faust: librdkafka's own (CRC32) would put a key into another partition than they do.
    "partitioner": "murmur2_random",
    "sticky.partitioning.linger.ms": 0,
}


def servers(urls: Iterable[Any]) -> str:
    """`bootstrap.servers` for Faust's broker URLs."""
    return ",".join(f"{url.host or '127.0.0.1'}:{url.port or 9092}" for url in urls)


def consumer_settings(bootstrap: str, group: str, session_s: float, options: EngineOptions) -> dict[str, Any]:
    """Of the one member of the group."""
    common = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",  # where to begin is always said; a position that is gone is never jumped over
        "isolation.level": "read_committed",
        # Not an answer for each record that arrives: fewer answers leave Kafka more time for its other work. Where
        # records are few, they wait 20 ms for it.
        "fetch.min.bytes": 50_000,
        "fetch.wait.max.ms": 20,
        "fetch.queue.backoff.ms": 5,
        "queued.min.messages": 50_000,
        "max.poll.interval.ms": 300_000,
        "allow.auto.create.topics": False,
    }
    if options.group_protocol == "consumer":  # the broker has the session's length, and the assignor
        # No `group.instance.id`: here Kafka refuses a successor until the session of a dead process is over.
        protocol: dict[str, Any] = {"group.protocol": "consumer", "group.remote.assignor": "range"}
    else:
        session_ms = int(session_s * 1000)
        protocol = {
            "partition.assignment.strategy": "range",  # no other keeps equal partitions of two topics together
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": max(300, min(1000, session_ms // 4)),
        }
        if options.member is not None:  # a successor takes over at once, not when its session is over (KIP-345)
            protocol["group.instance.id"] = f"{group}-{options.member}"
    return {**common, **protocol, **options.client}


def reader_settings(bootstrap: str, group: str, isolation: str, options: EngineOptions) -> dict[str, Any]:
    """Of a consumer that joins no group: it reads what it is told to."""
    return {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "isolation.level": isolation,
        "fetch.wait.max.ms": 20,
        **options.client,
    }


def plain_producer(bootstrap: str, options: EngineOptions, *, reports: bool = False) -> dict[str, Any]:
    """Outside of transactions. `reports`: each record's own callback is to be told where it went."""
    return {
        **MESSAGES,
        "bootstrap.servers": bootstrap,
        "delivery.report.only.error": not reports,  # a call back into Python costs more than the record
        **options.client,
    }


def transactional_producer(bootstrap: str, transactional_id: str, options: EngineOptions) -> dict[str, Any]:
    """The one for outputs, changelogs, dead letters and offsets."""
    timeout_ms = int(options.transaction_timeout_s * 1000)
    mine = {**MESSAGES, "bootstrap.servers": bootstrap, "transaction.timeout.ms": timeout_ms, **options.client}
    return transaction_settings(mine, transactional_id)
