"""Writes one batch in one transaction of the target, and finds the records that the target refuses by halving."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import cast

from mainstem.deliver.letters import letter_records
from mainstem.deliver.plan import SinkPlan
from mainstem.errors import RETRIES_EXHAUSTED, MainstemError, Rejected, Retryable, Unreachable
from mainstem.event import Partition
from mainstem.failpoint import failpoint
from mainstem.flow.dead_letter import Failure
from mainstem.flow.item import Item, OnFailure
from mainstem.flow.settlement import Settlement, blocked, too_many_parked
from mainstem.kafka.record import Record
from mainstem.sdk.sink import Advance, Claim, Letter, Mapped, ParkedKey, Progress, Target, Transaction
from mainstem.sdk.undecoded import StagingTarget, Undecoded, UndecodedTransaction


class Placement:
    """One sink's way of settling batches. Keeps no state between them."""

    def __init__(self, plan: SinkPlan, target: Target) -> None:
        self._plan = plan
        self._target = target

    async def place(
        self,
        items: Sequence[Item],
        claims: Mapping[Partition, Claim],
        ends: Mapping[Partition, int],
        parked: Collection[ParkedKey],
        *,
        gives_up: bool = False,
    ) -> Settlement:
        """Writes and commits; all of it is durable then. `parked` are the keys that may have waiting records.

        With `gives_up`, a record that the target asks to try again later, all attempts being spent, counts as refused.

        Raises Fenced, Retryable or Misconfigured, and then nothing has been written.
        """
        concerned = _concerned(items, parked)
        async with self._target.transaction() as begun:
            transaction = _GivesUp(begun) if gives_up else begun
            waiting = await transaction.waiting(concerned) if concerned else {}
            failpoint("sink.before_write")
            settlement = Settlement(waiting, self._plan.part)
            for item in items if concerned else ():
                _find_line(item, waiting)
            if concerned or not await self._write_all(transaction, settlement, items):
                await self._write(transaction, settlement, items)
            self._check_cap(settlement, parked)
            failpoint("sink.before_commit")
            await transaction.commit(self._progress(settlement, claims, ends))
        failpoint("sink.after_commit")
        return settlement

    async def stage(self, batch: Undecoded) -> None:
        """Brings the batch to the target, if that can be done beforehand. Whatever fails fails again when it is
        written, and has its consequences then."""
        if isinstance(self._target, StagingTarget):
            with suppress(MainstemError):
                await self._target.stage(batch)

    async def place_whole(
        self, batch: Undecoded, claims: Mapping[Partition, Claim], ends: Mapping[Partition, int]
    ) -> bool:
        """Writes and commits a batch of which no record concerns one that waits. False: nothing is written, for some
        record, or its type, needs a look. Raises as `place` does."""
        target = self._target
        async with target.staged(batch) if isinstance(target, StagingTarget) else target.transaction() as transaction:
            if not isinstance(transaction, UndecodedTransaction):
                return False
            failpoint("sink.before_write")
            try:
                if not await transaction.write_undecoded(batch):
                    return False
            except Rejected:
                return False
            failpoint("sink.before_commit")
            await transaction.commit(Progress(_advances(claims, ends)))
        failpoint("sink.after_commit")
        return True

    async def _write_all(self, transaction: Transaction, settlement: Settlement, items: Sequence[Item]) -> bool:
        """The way of nearly every batch: nobody waits, every mapping worked, the target takes it all. False if not."""
        mapped = [item.outcome for item in items]
        if set(map(type, mapped)) != {Mapped}:
            return False
        try:
            await transaction.write(cast(list[Mapped], mapped))
        except Rejected:
            return False
        settlement.delivered.extend(items)
        return True

    async def _write(self, transaction: Transaction, settlement: Settlement, items: Sequence[Item]) -> None:
        if self._plan.on_failure is OnFailure.BLOCK and (refused := settlement.first_refused(items)):
            raise blocked(*refused)
        admitted = settlement.admit(items)
        try:
            if admitted:
                await transaction.write([_mapped(item) for item in admitted])
        except Rejected as error:
            await self._narrow(transaction, settlement, items, admitted, error)
        else:
            settlement.settle(items)

    async def _narrow(
        self,
        transaction: Transaction,
        settlement: Settlement,
        items: Sequence[Item],
        admitted: Sequence[Item],
        error: Rejected,
    ) -> None:
        """Halves what was refused; the one that is refused alone is to blame."""
        middle = admitted[len(admitted) // 2]
        at = next(place for place, item in enumerate(items) if item is middle)
        if len(admitted) > 1:
            await self._write(transaction, settlement, items[:at])
            await self._write(transaction, settlement, items[at:])
            return
        failure = Failure(error, self._plan.part, "write")
        if self._plan.on_failure is OnFailure.BLOCK:
            raise blocked(middle, failure)
        settlement.settle(items[:at])
        settlement.refuse(middle, failure)
        await self._write(transaction, settlement, items[at + 1 :])

    def _check_cap(self, settlement: Settlement, parked: Collection[ParkedKey]) -> None:
        """Records of keys that are parked already may always join their lines. Raises Misconfigured (MS-214)."""
        most = self._plan.max_parked_keys
        if most is None or self._plan.on_failure is OnFailure.SKIP:
            return
        new = {item.scope for item in settlement.parked} - set(parked)
        if new and len(parked) + len(new) > most:
            raise too_many_parked(self._plan.part, len(parked))

    def _progress(
        self, settlement: Settlement, claims: Mapping[Partition, Claim], ends: Mapping[Partition, int]
    ) -> Progress:
        advances = _advances(claims, ends)
        if self._plan.dlq is None:
            return Progress(advances)
        return Progress(
            advances,
            [_letter(item, record) for item, record in letter_records(settlement, self._plan.dlq)],
            [(item.scope, item.event_id) for item in settlement.parked],
            [(item.scope, item.event_id) for item in settlement.released],
        )


def _advances(claims: Mapping[Partition, Claim], ends: Mapping[Partition, int]) -> list[Advance]:
    return [Advance(claim, claim.next_offset, ends[p]) for p, claim in claims.items() if p in ends]


class _GivesUp:
    """A transaction for whose records no attempt is left."""

    def __init__(self, transaction: Transaction) -> None:
        self.waiting = transaction.waiting
        self.commit = transaction.commit
        self._write = transaction.write

    async def write(self, records: Sequence[Mapped]) -> None:
        try:
            await self._write(records)
        except Unreachable:
            raise
        except Retryable as error:
            raise Rejected(f"no attempt is left: {error.cause}", code=RETRIES_EXHAUSTED) from error


def _concerned(items: Sequence[Item], parked: Collection[ParkedKey]) -> set[ParkedKey]:
    """The keys whose waiting records matter to this batch: usually none."""
    found = {item.scope for item in items if item.is_redriven or item.scope in parked} if parked else set()
    for item in items:
        if item.is_redriven:
            found |= {item.scope, item.other_scope or item.scope}
    return found


def _find_line(item: Item, waiting: Mapping[ParkedKey, Sequence[str]]) -> None:
    """A record that was parked before `on_failure` was changed waits under the scope of that time."""
    other = item.other_scope
    if (
        other is not None
        and item.event_id not in waiting.get(item.scope, ())
        and item.event_id in waiting.get(other, ())
    ):
        item.waits_under(other)


def _mapped(item: Item) -> Mapped:
    assert isinstance(item.outcome, Mapped)  # noqa: S101 - what is admitted has been mapped
    return item.outcome


def _letter(item: Item, record: Record) -> Letter:
    return Letter(item.partition, item.offset, record.topic, record.key, record.value, record.headers)
