"""What an app may say about the engine; everything else is one of Faust's own settings."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from mainstem.process.librdkafka.credentials import refuse_own
from mainstem.process.librdkafka.observing import Observer

log = logging.getLogger(__name__)


def end_process(reason: str) -> NoReturn:
    """Ends this process at once, with EX_TEMPFAIL: whoever started it is to start it again.

    Not by way of Faust's own shutdown, which would wait for events and commit once more.
    """
    log.critical("the worker ends, to be started again: %s", reason)
    os._exit(os.EX_TEMPFAIL)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine works."""

    member: str | None = None
    """The name of this worker's slot, the same for each process that takes its place and unlike that of any other
    worker of the app. It makes the `transactional.id`: a successor fences its predecessor in milliseconds. It makes the
    `group.instance.id`: a successor gets the partitions of one that was killed at once. One that is stopped leaves the
    group; those of one that was killed for good go to others when its session has timed out."""
    batch: int = 1000
    """Records that a batch step gets at once, at most."""
    ahead: int = 20_000
    """Records fetched and not delivered yet, at most (a batch more); and as many with agents that are not done with
    them: `take` waits for ever for more than that."""
    ahead_bytes: int = 64 << 20
    """The bytes of their values, at most (a batch more), of each of the two. The library's own queues have as much."""
    epoch_events: int = 10_000
    """Exactly-once: events in one transaction, at most; fewer at first, and where they are slow or fail."""
    epoch_ms: int = 100
    """Exactly-once: how long after its first event a transaction is committed. Readers see outputs no earlier."""
    transaction_timeout_s: float = 10.0
    """A dead worker's transaction holds up its readers, and its successor, for that long; longer than `drain_s`."""
    drain_s: float = 8.0
    """How long events that have begun may take before a commit or a rebalance goes on: a worker whose events take
    longer is started anew. For those that have not begun a commit waits a quarter of it; they go into later ones."""
    stall_s: float = 60.0
    """How long events may be under way without a commit, or the event loop without an answer, before the worker is
    started anew. Longer than the slowest event takes; see also `App.pausing`."""
    retries: int = 0
    """How often an event that raised is tried again before it becomes a dead letter."""
    dead_letters: str | None = None
    """Their topic; `<app id>-dead-letters` if it is not said. It is made at the start, if Faust may declare topics."""
    group_protocol: Literal["classic", "consumer"] = "classic"
    """`consumer` is KIP-848. Both assign by range: the partitions of one number in all topics belong together. With
    KIP-848 the partitions of a worker that was killed wait for the end of its session, which the broker sets (45 s by
    default), also where its successor is there at once."""
    client: Mapping[str, Any] = field(default_factory=dict)
    """Properties for all of librdkafka's clients, TLS and SASL above all; they go before Faust's `broker_credentials`.
    Those on which the engine's promises rest are refused."""
    topics_s: float = 30.0
    """How often new topics are looked for behind patterns. One that is found is read some seconds later, after a
    rebalance."""
    young_objects: int = 100_000
    """A worker's garbage collector looks at the objects that are new when there are so many, instead of Python's 700:
    that would cost a seventh of the rate of steps. It is the process's; 0 leaves it alone."""
    observer: Observer = field(default_factory=Observer)
    """Is told what happens, to make metrics of it."""
    ends: Callable[[str], Any] = end_process
    """Called where the process may not go on: it was fenced, or whether something was committed is not known."""

    def __post_init__(self) -> None:
        refuse_own(self.client)
        if self.drain_s >= self.transaction_timeout_s:
            raise ValueError("drain_s has to be shorter than transaction_timeout_s")
        if self.stall_s <= self.drain_s:
            raise ValueError("stall_s has to be longer than drain_s: events have that long to finish before a commit")
