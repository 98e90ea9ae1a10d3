"""What the contract of an exactly-once sink works with: a fresh target for each test, events, and one delivery."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from mainstem.event import Event, Partition
from mainstem.sdk.sink import (
    Advance,
    Claim,
    Letter,
    Mapped,
    ParkedKey,
    Progress,
    Row,
    SinkIdentity,
    Target,
    TransactionalSink,
)

TOPIC = "payments.payment_settled.v1"
P0, P1 = Partition(TOPIC, 0), Partition(TOPIC, 1)
JOURNAL = SinkIdentity("books", "journal", {TOPIC: "first"})
KEY = ParkedKey(TOPIC, b"\x00key")


class Rig(ABC):
    """A fresh target for one test. Its table has the columns entry (text), line (integer) and amount (a decimal).

    It refuses a row with an amount of zero at once, and, by a deferred rule, an entry whose amounts do not sum to zero.
    `(entry, line)` is unique only where the test asks for a key.
    """

    @abstractmethod
    def sink(self, *, key: tuple[str, ...] = (), replace_by: str | None = None) -> TransactionalSink:
        """A sink into the table; two sinks of one rig write into the same one."""

    @abstractmethod
    async def rows(self) -> Sequence[tuple[str, int, Decimal]]:
        """What another session sees, sorted."""


def entry(name: str, *amounts: int, at: int = 0) -> Mapped:
    """An event that maps to one line per amount."""
    lines: list[Row] = [{"entry": name, "line": n, "amount": Decimal(amount)} for n, amount in enumerate(amounts)]
    return Mapped(Event(id=f"{name}-{at}", key=name), lines)


def lines(name: str, *amounts: int) -> list[tuple[str, int, Decimal]]:
    return [(name, n, Decimal(amount)) for n, amount in enumerate(amounts)]


def letter(offset: int, topic: str, *, partition: Partition = P0, value: bytes | None = b"v") -> Letter:
    return Letter(partition, offset, topic, b"k\xff", value, (("ce_id", b"1"), ("ce_id", b"\x00\xff")))


async def claim(target: Target, partition: Partition = P0) -> Claim:
    [claimed] = await target.take_over([partition])
    return claimed


async def deliver(target: Target, claimed: Claim, records: Sequence[Mapped], **progress: Any) -> Claim:
    """One transaction that writes the records; the claim as it is afterwards."""
    reached = (claimed.next_offset or 0) + max(1, len(records))
    async with target.transaction() as transaction:
        await transaction.write(records)
        await transaction.commit(Progress([Advance(claimed, claimed.next_offset, reached)], **progress))
    return Claim(claimed.partition, claimed.epoch, reached)
