"""Writes one batch in one transaction of the target, and finds the records that the target refuses by halving."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mainstem.deliver.plan import SinkPlan
from mainstem.errors import Misconfigured, Rejected
from mainstem.event import Partition
from mainstem.flow.dead_letter import Failure, cause, dead_letter, first_origin
from mainstem.flow.letter_status import DELIVERED, WAITING, status_record
from mainstem.flow.settlement import Item, OnFailure, Settlement
from mainstem.kafka.record import Record
from mainstem.sdk.sink import Advance, Claim, Letter, Mapped, ParkedKey, Progress, Target, Transaction


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
    ) -> Settlement:
        """Writes and commits; all of it is durable then. `parked` are the keys that may have waiting records.

        Raises Fenced, Retryable or Misconfigured, and then nothing has been written.
        """
        concerned = {item.scope for item in items if item.is_redriven or item.scope in parked}
        async with self._target.transaction() as transaction:
            waiting = await transaction.waiting(concerned) if concerned else {}
            settlement = Settlement(waiting, self._plan.part)
            await self._write(transaction, settlement, items)
            settlement.in_order()
            await transaction.commit(self._progress(settlement, claims, ends))
        return settlement

    async def _write(self, transaction: Transaction, settlement: Settlement, items: Sequence[Item]) -> None:
        admitted = settlement.admit(items)
        self._stop_where_blocked(settlement)
        if not admitted:
            return
        try:
            await transaction.write([_mapped(item) for item in admitted])
        except Rejected as error:
            if len(admitted) == 1:
                settlement.refuse(admitted[0], Failure(error, self._plan.part, "write"))
                self._stop_where_blocked(settlement)
                return
            middle = len(admitted) // 2
            await self._write(transaction, settlement, admitted[:middle])
            await self._write(transaction, settlement, admitted[middle:])
        else:
            settlement.deliver(admitted)

    def _stop_where_blocked(self, settlement: Settlement) -> None:
        if self._plan.on_failure is OnFailure.BLOCK and settlement.letters:
            item, failure = settlement.letters[0]
            error = failure.error
            raise Misconfigured(
                f"{item.partition.topic}:{item.partition.number}:{item.offset} is refused and on_failure is block: "
                f"{error.cause}",
                code=error.code,
                fix=error.fix,
            )

    def _progress(
        self, settlement: Settlement, claims: Mapping[Partition, Claim], ends: Mapping[Partition, int]
    ) -> Progress:
        advances = [Advance(claim, claim.next_offset, ends[p]) for p, claim in claims.items() if p in ends]
        if self._plan.dlq is None:
            return Progress(advances)
        return Progress(
            advances,
            self._letters(settlement, self._plan.dlq),
            [(item.scope, item.event_id) for item in settlement.parked],
            [(item.scope, item.event_id) for item in settlement.released],
        )

    def _letters(self, settlement: Settlement, dlq: str) -> list[Letter]:
        letters = []
        for item, failure in settlement.letters:
            letters.append(_letter(item, dead_letter(item.message, failure, dlq)))
            why = cause(failure)
            letters.append(_letter(item, _status(dlq, item, WAITING, why, failure.error.code.number)))
        letters += [_letter(item, _status(dlq, item, DELIVERED, None, None)) for item in settlement.released]
        return letters


def _status(dlq: str, item: Item, state: str, why: str | None, code: str | None) -> Record:
    origin = first_origin(item.message)
    return status_record(dlq, item.event_id, state, origin=origin, cause=why, code=code, scope=item.scope.key)


def _mapped(item: Item) -> Mapped:
    assert isinstance(item.outcome, Mapped)  # noqa: S101 - what is admitted has been mapped
    return item.outcome


def _letter(item: Item, record: Record) -> Letter:
    return Letter(item.partition, item.offset, record.topic, record.key, record.value, record.headers)
