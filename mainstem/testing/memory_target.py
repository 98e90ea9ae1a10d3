"""An exactly-once target in memory: what a database does, in microseconds.

Several workers (and several sinks) that share one `MemoryStore` fence each other as they would in one database.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from pydantic import ConfigDict

from mainstem.errors import TARGET_NOT_READY, TARGET_REFUSES, Fenced, Misconfigured, Rejected, Unreachable
from mainstem.event import Partition
from mainstem.sdk.settings import Settings
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
    Transaction,
    TransactionalSink,
)


@dataclass(slots=True)
class _Control:
    integration: str
    topic_id: str | None
    epoch: int = 0
    next_offset: int | None = None


class _Parked(NamedTuple):
    event_id: str
    topic_id: str | None


@dataclass
class _Contents:
    rows: list[Row] = field(default_factory=list)
    controls: dict[tuple[str, Partition], _Control] = field(default_factory=dict)
    parked: dict[tuple[str, ParkedKey], list[_Parked]] = field(default_factory=lambda: defaultdict(list))
    letters: dict[tuple[str, Partition], list[Letter]] = field(default_factory=lambda: defaultdict(list))


class MemoryStore:
    """The one database. `rows` is what was committed, in order."""

    def __init__(self) -> None:
        self.contents = _Contents()
        self.reachable = True
        """False: every call raises Unreachable, as if the database were down."""
        self.lose_next_answer = False
        """True: the next commit is done, but its answer is lost (Unreachable)."""
        self.writes = 0
        """How often a batch was tried, refused ones included."""

    @property
    def rows(self) -> Sequence[Row]:
        return self.contents.rows

    def answer(self) -> None:
        """Raises Unreachable while the store is not reachable."""
        if not self.reachable:
            raise Unreachable("the memory store is down")


class MemorySink(TransactionalSink):
    """Writes into a MemoryStore; `key` and `replace_by` as in PostgresSink."""

    model_config = ConfigDict(**Settings.model_config, arbitrary_types_allowed=True)

    store: MemoryStore
    """Where to write: the same for all workers that should see each other."""
    key: tuple[str, ...] = ()
    """The columns that identify a row."""
    replace_by: str | None = None
    """All rows with the same value of this column are replaced as a whole."""
    refuse: Callable[[Row], bool] | None = None
    """A row's own rule: true refuses the row, as a check constraint does."""
    refuse_all: Callable[[Sequence[Row]], bool] | None = None
    """A rule over all rows of the target, asked at the end of each write, as a deferred constraint is."""

    def open(self, identity: SinkIdentity) -> AbstractAsyncContextManager[Target]:
        """A target for one worker."""
        return self._open(identity)

    @asynccontextmanager
    async def _open(self, identity: SinkIdentity) -> AsyncIterator[Target]:
        yield MemoryTarget(self, identity)

    async def check(self) -> None:
        """Raises Unreachable while the store is down."""
        self.store.answer()


class MemoryTarget:
    """One worker's view of the store."""

    def __init__(self, sink: MemorySink, identity: SinkIdentity) -> None:
        self._sink = sink
        self._store = sink.store
        self._identity = identity
        self._turn = asyncio.Lock()
        self._owner: asyncio.Task[object] | None = None

    async def take_over(self, partitions: Collection[Partition]) -> Sequence[Claim]:
        async with self._alone() as contents:
            return [self._claim(contents, partition) for partition in sorted(set(partitions))]

    def _claim(self, contents: _Contents, partition: Partition) -> Claim:
        name, topic_id = self._identity.name, self._identity.topic_ids.get(partition.topic)
        new = _Control(self._identity.integration, topic_id)
        control = contents.controls.setdefault((name, partition), new)
        if control.integration != self._identity.integration:
            raise Misconfigured(f"the control row of {name} belongs to another integration", code=TARGET_NOT_READY)
        if topic_id and control.topic_id and topic_id != control.topic_id:
            control.next_offset = None
            contents.letters.pop((name, partition), None)
        if topic_id:
            self._drop_earlier_incarnation(contents, partition.topic, topic_id)
        control.topic_id = topic_id or control.topic_id
        control.epoch += 1
        return Claim(partition, control.epoch, control.next_offset)

    def _drop_earlier_incarnation(self, contents: _Contents, topic: str, topic_id: str) -> None:
        for (sink, key), waiting in list(contents.parked.items()):
            if sink == self._identity.name and key.topic == topic:
                waiting[:] = [parked for parked in waiting if parked.topic_id in (None, topic_id)]
                if not waiting:
                    del contents.parked[sink, key]

    async def parked(self, topics: Collection[str]) -> Collection[ParkedKey]:
        async with self._alone() as contents:
            return {key for sink, key in contents.parked if sink == self._identity.name and key.topic in topics}

    async def letters(self, partition: Partition, after: int) -> Sequence[Letter]:
        async with self._alone() as contents:
            kept = contents.letters.get((self._identity.name, partition), ())
            return [letter for letter in kept if letter.offset > after]

    async def forget_letters(self, partition: Partition, through: int) -> None:
        async with self._alone() as contents:
            kept = contents.letters[self._identity.name, partition]
            kept[:] = [letter for letter in kept if letter.offset > through]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self._refuse_nesting()
        async with self._turn:
            self._owner = asyncio.current_task()
            transaction = MemoryTransaction(self._sink, self._identity)
            try:
                yield transaction
            finally:
                self._owner = None
                transaction.over = True

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[_Contents]:
        self._refuse_nesting()
        async with self._turn:
            self._store.answer()
            yield self._store.contents

    def _refuse_nesting(self) -> None:
        if self._owner is not None and self._owner is asyncio.current_task():
            raise RuntimeError("leave the transaction first: inside it this call would wait for itself")


class MemoryTransaction:
    """Keeps what it wrote to itself until `commit`."""

    def __init__(self, sink: MemorySink, identity: SinkIdentity) -> None:
        self._sink = sink
        self._store = sink.store
        self._identity = identity
        self._written: list[Sequence[Mapped]] = []
        self.over = False

    async def waiting(self, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        self._answer()
        name, parked = self._identity.name, self._store.contents.parked
        return {key: [waits.event_id for waits in parked.get((name, key), ())] for key in keys}

    async def write(self, records: Sequence[Mapped]) -> None:
        self._answer()
        self._store.writes += 1
        refuse, refuse_all = self._sink.refuse, self._sink.refuse_all
        if refuse and any(refuse(row) for record in records for row in record.rows):
            raise Rejected("the memory store refuses a row", code=TARGET_REFUSES)
        if refuse_all and refuse_all(self._merged([*self._written, records])):
            raise Rejected("the memory store refuses the rows together", code=TARGET_REFUSES)
        self._written.append([Mapped(event, [dict(row) for row in rows]) for event, rows in records])

    async def commit(self, progress: Progress) -> None:
        self._answer()
        contents, name = self._store.contents, self._identity.name
        lost = [step.claim.partition for step in progress.advances if not self._holds(step)]
        if lost:
            names = ", ".join(f"{partition.topic}:{partition.number}" for partition in lost)
            raise Fenced(f"another worker took {names} over; nothing was written", partitions=lost)
        contents.rows = self._merged(self._written)
        for letter in progress.letters:
            contents.letters[name, letter.partition].append(letter)
        for key, event_id in progress.parked:
            contents.parked[name, key].append(_Parked(event_id, self._identity.topic_ids.get(key.topic)))
        for key, event_id in progress.released:
            self._release(key, event_id)
        for step in progress.advances:
            contents.controls[name, step.claim.partition].next_offset = step.next_offset
        self.over = True
        if self._store.lose_next_answer:
            self._store.lose_next_answer = False
            raise Unreachable("the answer to the commit was lost")

    def _answer(self) -> None:
        if self.over:
            raise RuntimeError("the transaction is over")
        self._store.answer()

    def _holds(self, step: Advance) -> bool:
        control = self._store.contents.controls.get((self._identity.name, step.claim.partition))
        return control is not None and control.epoch == step.claim.epoch and control.next_offset == step.expected

    def _release(self, key: ParkedKey, event_id: str) -> None:
        waiting = self._store.contents.parked[self._identity.name, key]
        oldest = next((parked for parked in waiting if parked.event_id == event_id), None)
        if oldest:
            waiting.remove(oldest)
        if not waiting:
            del self._store.contents.parked[self._identity.name, key]

    def _merged(self, written: Sequence[Sequence[Mapped]]) -> list[Row]:
        rows, new = self._store.contents.rows, [record.rows for records in written for record in records]
        if self._sink.replace_by:
            return _replaced(rows, new, self._sink.replace_by)
        if self._sink.key:
            return _updated(rows, new, self._sink.key)
        return [*rows, *chain.from_iterable(new)]


def _replaced(rows: Sequence[Row], new: Sequence[Sequence[Row]], by: str) -> list[Row]:
    entries = _grouped(rows, by)
    for event in new:
        entries.update(_grouped(event, by))
    return list(chain.from_iterable(entries.values()))


def _grouped(rows: Sequence[Row], by: str) -> dict[object, list[Row]]:
    entries: dict[object, list[Row]] = {}
    for row in rows:
        entries.setdefault(row[by], []).append(row)
    return entries


def _updated(rows: Sequence[Row], new: Sequence[Sequence[Row]], key: Sequence[str]) -> list[Row]:
    merged: dict[object, Row] = {}
    for row in chain(rows, chain.from_iterable(new)):
        same = tuple(row[name] for name in key)
        merged[same] = {**merged.get(same, {}), **row}
    return list(merged.values())
