"""The contract of plain sinks, on sinks that keep it and on sinks that do not: it has to see each mistake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from pydantic import ConfigDict

from mainstem import Guarantee, Mapped, Rejected, Retryable, Settings, Sink, Unreachable, Write
from mainstem.testing.plain_sink_contract import PlainRig, PlainSinkContract
from tests.http_target import HttpTarget
from tests.posting_connector import PostingSink


class Shelf:
    """A target in memory."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int]] = []
        self.refused: set[str] = set()
        self.is_away = False


class ShelfSink(Sink):
    """Appends."""

    model_config = ConfigDict(**Settings.model_config, arbitrary_types_allowed=True)

    shelf: Shelf
    """Where to."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Write]:
        yield self._write

    async def _write(self, records: Sequence[Mapped]) -> None:
        await asyncio.sleep(0)
        if self.shelf.is_away:
            raise Unreachable("the shelf is away")
        if any(record.event.id in self.shelf.refused for record in records):
            raise Rejected("the shelf refuses a record")
        for record in records:
            self.put(record)

    def put(self, record: Mapped) -> None:
        """One record."""
        self.shelf.written.append((record.event.id, record.event.revision))


class OnceShelfSink(ShelfSink):
    """Drops what it has by id and revision; many writes at once."""

    guarantee: ClassVar[Guarantee] = Guarantee.IDEMPOTENT
    in_flight: ClassVar[int] = 8
    records_per_write: ClassVar[int | None] = 1

    def put(self, record: Mapped) -> None:
        if (record.event.id, record.event.revision) not in self.shelf.written:
            super().put(record)


class ShelfRig(PlainRig):
    def __init__(self, kind: type[ShelfSink]) -> None:
        self.kind = kind
        self.shelf = Shelf()

    def sink(self) -> Sink:
        return self.kind(shelf=self.shelf)

    async def effects(self) -> Sequence[str]:
        return [event_id for event_id, _ in self.shelf.written]

    def refuse(self, event_id: str) -> bool:
        self.shelf.refused.add(event_id)
        return True

    async def go_away(self) -> bool:
        self.shelf.is_away = True
        return True

    async def come_back(self) -> None:
        self.shelf.is_away = False


class TestShelfSink(PlainSinkContract):
    @pytest.fixture
    def rig(self) -> PlainRig:
        return ShelfRig(ShelfSink)


class TestOnceShelfSink(PlainSinkContract):
    @pytest.fixture
    def rig(self) -> PlainRig:
        return ShelfRig(OnceShelfSink)


class PostingRig(PlainRig):
    """The server remembers every request; whoever uses it sees each token once."""

    def __init__(self, target: HttpTarget) -> None:
        self.target = target
        self._refused: set[str] = set()
        target.refused = self._refused.__contains__

    def sink(self) -> Sink:
        return PostingSink(url=self.target.url)

    async def effects(self) -> Sequence[str]:
        by_token = {effect.token: effect.event_id for effect in reversed(self.target.effects)}
        return list(by_token.values())[::-1]

    def refuse(self, event_id: str) -> bool:
        self._refused.add(event_id)
        return True

    async def go_away(self) -> bool:
        await asyncio.to_thread(self.target.stop)
        return True

    async def come_back(self) -> None:
        await asyncio.to_thread(self.target.start)


class TestPostingSink(PlainSinkContract):
    @pytest.fixture
    def rig(self, free_port: int) -> Iterator[PlainRig]:
        with HttpTarget(free_port) as target:
            yield PostingRig(target)


class SaysDoneTooSoon(ShelfSink):
    def put(self, record: Mapped) -> None:
        if record.event.id != "r7":
            super().put(record)


class ForgetsTheRevision(OnceShelfSink):
    def put(self, record: Mapped) -> None:
        if all(event_id != record.event.id for event_id, _ in self.shelf.written):
            super().put(record)


class ForgetsTheKey(OnceShelfSink):
    """Promises to be idempotent, and writes every repeat."""

    def put(self, record: Mapped) -> None:
        self.shelf.written.append((record.event.id, record.event.revision))


class WritesBackwards(ShelfSink):
    async def _write(self, records: Sequence[Mapped]) -> None:
        await super()._write(records[::-1])


class WritesBeforeItRefuses(ShelfSink):
    async def _write(self, records: Sequence[Mapped]) -> None:
        for record in records:
            if record.event.id in self.shelf.refused:
                raise Rejected(f"refused: {record.event.key}")
            self.put(record)


class CallsAnOutageBusy(ShelfSink):
    async def _write(self, records: Sequence[Mapped]) -> None:
        if self.shelf.is_away:
            raise Retryable("busy")
        await super()._write(records)


class StumblesOverNothing(ShelfSink):
    def put(self, record: Mapped) -> None:
        if record.rows[0]:
            super().put(record)


@pytest.mark.parametrize(
    ("kind", "test", "error"),
    [
        (SaysDoneTooSoon, "all_is_written_in_the_order_of_each_key", AssertionError),
        (WritesBackwards, "all_is_written_in_the_order_of_each_key", AssertionError),
        (
            ForgetsTheKey,
            "a_crash_between_effect_and_commit_loses_nothing_and_repeats_no_more_than_promised",
            AssertionError,
        ),
        (ForgetsTheRevision, "an_edited_event_is_no_repeat", AssertionError),
        (
            WritesBeforeItRefuses,
            "a_refused_record_is_a_letter_with_those_behind_it_and_the_others_are_written",
            AssertionError,
        ),
        (WritesBeforeItRefuses, "the_refusal_does_not_tell_the_values", AssertionError),
        (CallsAnOutageBusy, "a_target_that_is_away_is_unreachable_and_costs_no_record_an_attempt", Retryable),
        (StumblesOverNothing, "an_event_that_maps_to_nothing_is_delivered_too", TimeoutError),
    ],
)
async def test_the_contract_sees_the_mistake(
    kind: type[ShelfSink], test: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstem.testing.plain_run.DEADLINE_S", 0.3 if error is TimeoutError else 10)
    contract: Any = TestShelfSink()
    with pytest.raises(error):
        await getattr(contract, f"test_{test}")(ShelfRig(kind))
