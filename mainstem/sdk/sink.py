"""What the author of a sink writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Protocol

from mainstem.event import Event, Partition
from mainstem.sdk.settings import Settings

Row = Mapping[str, Any]


class Guarantee(StrEnum):
    """What a sink promises when a worker dies between the effect and its record of it."""

    AT_LEAST_ONCE = "at-least-once"
    IDEMPOTENT = "idempotent"
    """At least once, and the target drops the repeats by key (event id + revision)."""
    EXACTLY_ONCE = "exactly-once"
    """Rows and offsets in one transaction of the target."""


class Mapped(NamedTuple):
    """An event and what its mapping made of it. No rows: there is nothing to write for this event."""

    event: Event
    rows: Sequence[Row]


class Write(Protocol):
    """Writes records in order. Returning means that all of them are delivered.

    Raises Rejected when the target refuses one of the records (the runtime then bisects), Retryable when the target
    says "later" (it costs these records an attempt), Unreachable when it does not answer at all (it costs none, and
    nobody writes to it for a while), or Misconfigured. Several writes are under way at once where the sink says so.
    """

    async def __call__(self, records: Sequence[Mapped]) -> None: ...


class Sink(Settings, ABC):
    """A sink that writes at least once. Its settings are its fields; what it opens lives in `open`.

    A crash repeats what was in flight and what was not committed yet; a record's event has the same id and revision
    each time, which make its idempotency key. The order within a key is kept, whatever is in flight.
    """

    guarantee: ClassVar[Guarantee] = Guarantee.AT_LEAST_ONCE
    in_flight: ClassVar[int] = 1
    """Writes under way at once, none of which has a key in common with another. 1 is right for a file."""
    records_per_write: ClassVar[int | None] = None
    """At most so many in one write. None: as many as there are, up to the integration's `batch.max_records`. One is
    right where each record is a request of its own: it then fails, and is tried again, for itself."""

    def target_name(self) -> str | None:
        """What it writes to, by a name (a host and port, say): if that does not answer, all sinks that name it wait
        together. None: nobody else writes to it."""
        return None

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[Write]:
        """Opens connections for one worker and closes them after it."""

    async def check(self) -> None:
        """For `mainstem doctor`: raises Misconfigured or Unreachable when the target cannot be written to."""


# An exactly-once sink keeps the offsets, the parked records and the dead letters beside the rows.


class ParkedKey(NamedTuple):
    """A key whose records wait: the topic that it came from, and the key's bytes."""

    topic: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """A Kafka record that must be written because of what happened to the record at `partition`, `offset`.

    It is kept in the target in the transaction that decides it, and shipped to Kafka from there, once.
    """

    partition: Partition
    offset: int
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker gets when it takes a partition over: the epoch that its writes must name."""

    partition: Partition
    epoch: int
    next_offset: int | None
    """None: this sink has never written anything of the partition."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Moves a partition's next offset from `expected` to `next_offset`, if the epoch is still the claim's."""

    claim: Claim
    expected: int | None
    next_offset: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What one transaction settles besides the rows. All of it is durable with them or not at all."""

    advances: Sequence[Advance]
    letters: Sequence[Letter] = ()
    parked: Sequence[tuple[ParkedKey, str]] = ()
    """Event ids that wait from now on, each behind the others of its key."""
    released: Sequence[tuple[ParkedKey, str]] = ()
    """Event ids that wait no more: they were delivered or dropped."""


class Transaction(Protocol):
    """One transaction of the target. Leaving it without `commit` rolls everything back."""

    async def waiting(self, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        """The event ids that wait for each of these keys, oldest first, held against change until the end."""

    async def write(self, records: Sequence[Mapped]) -> None:
        """All of these or, when one is refused (Rejected), none of them; deferred checks of the target speak here."""

    async def commit(self, progress: Progress) -> None:
        """Makes rows and progress durable. Raises Fenced when an epoch or an offset is not as expected."""


class Target(Protocol):
    """What an exactly-once sink opens for one worker."""

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        """Fences whoever wrote these partitions before."""

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        """The keys that have waiting records, for these origin topics."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        """Letters of the partition with an offset beyond `after`, in order: what has yet to be shipped."""

    async def forget_letters(self, partition: Partition, through: int) -> None:
        """Letters up to that offset are safe in Kafka."""


@dataclass(frozen=True, slots=True)
class SinkIdentity:
    """Who writes: kept in the target beside the offsets, so that nobody takes them for another's."""

    integration: str
    sink: str
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    """Kafka's id of each topic: a topic that was deleted and made again is another topic."""
    is_beside_live: bool = False
    """Whether somebody else, the live worker, may write the same keys at the same time: a replay."""

    @property
    def name(self) -> str:
        return f"{self.integration}.{self.sink}"


class TransactionalSink(Settings, ABC):
    """A sink whose target keeps rows and offsets in one transaction."""

    guarantee: ClassVar[Guarantee] = Guarantee.EXACTLY_ONCE
    takes_undecoded: ClassVar[bool] = False
    """Whether its transactions have `write_undecoded` (`mainstem.sdk.undecoded`), which they get for a sink without a
    mapping. What they do not take comes again through `write`."""

    def target_name(self) -> str | None:
        """As `Sink.target_name`."""
        return None

    @abstractmethod
    def open(self, identity: SinkIdentity) -> AbstractAsyncContextManager[Target]:
        """For one worker; it may connect, and make its control tables, with the first call only."""

    async def check(self) -> None:
        """For `mainstem doctor`: raises Misconfigured or Unreachable when the target cannot be written to."""
