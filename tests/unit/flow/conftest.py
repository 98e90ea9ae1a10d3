"""Messages as they come out of Kafka."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.testing.raw_message import RawMessage

TOPIC = "shop.order.v1"


def message(
    value: bytes | None = b"v",
    *,
    key: bytes | None = b"k",
    topic: str = TOPIC,
    partition: int = 0,
    offset: int = 7,
    headers: Sequence[tuple[str, bytes]] = (),
) -> RawMessage:
    return RawMessage(topic, partition, offset, key, value, headers, (1, 1_700_000_000_000))
