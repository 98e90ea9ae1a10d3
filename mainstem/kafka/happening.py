"""What happens to one member of a consumer group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Message

from mainstem.errors import MainstemError
from mainstem.event import Partition


@dataclass(frozen=True)
class Assigned:
    """Partitions that are ours from now on. They wait, paused, until `start` says where to begin."""

    partitions: Sequence[Partition]


@dataclass(frozen=True)
class Revoked:
    """Partitions to leave. Call `left` when nothing of them is under way any more; the rebalance waits for it."""

    partitions: Sequence[Partition]
    lost: bool
    left: Callable[[], None] = field(repr=False)


@dataclass(frozen=True)
class Fetched:
    """Records in order within each partition. Call `done` once; it gives the consumer the room for as many more."""

    messages: Sequence[Message]
    generation: int
    done: Callable[[], None] = field(repr=False)


@dataclass(frozen=True)
class Failed:
    """The client reports an error that it does not mend by itself."""

    error: MainstemError


Happening = Assigned | Revoked | Fetched | Failed
