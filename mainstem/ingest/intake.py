"""The way into one topic for whatever is pushed: events become valid, complete, encoded and durable, each id once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mainstem.errors import (
    KAFKA_UNREACHABLE,
    FieldError,
    MainstemError,
    RequestRefused,
    Unreachable,
)
from mainstem.event import Event
from mainstem.ingest.once import Attempt, Once
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.record import Record

DURABLE_WITHIN_S = 5.0
"""Senders of webhooks give up after 10 to 30 s; they are told well before that."""


class Producer(Protocol):
    """What becomes durable through it; kafka.producer.DurableProducer is one."""

    async def send(self, records: Sequence[Record]) -> None: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: the `ce_source` of events that name none, and how the sender's ids and fields become ours."""

    source: str
    id_prefix: str = ""
    """Stands before the ids, to keep them apart from another system's."""
    data_path: str = ""
    """Stands before the path of a wrong field: where the data is in what was sent."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a request's events: all ids in order, and those that had been published before."""

    ids: Sequence[str]
    duplicates: Sequence[str]


class Intake:
    """One topic's way in, shared by all who push to it, so that an id is published once whoever brings it."""

    def __init__(
        self, writer: EventWriter, producer: Producer, once: Once, *, durable_within_s: float = DURABLE_WITHIN_S
    ) -> None:
        self.topic = writer.topic
        self._writer = writer
        self._producer = producer
        self._once = once
        self._durable_within_s = durable_within_s

    async def publish(self, events: Sequence[Event], sender: Sender, *, trace: str | None = None) -> Receipt:
        """Returns when every event is durable, those included that another request is just publishing.

        `trace` is the request's `traceparent`. Raises RequestRefused (422) naming event and field, before anything is
        published; Unreachable when Kafka does not confirm in time: the outcome is unknown, it is to be sent again.
        """
        complete = [
            self._writer.complete(event, sender.source, id_prefix=sender.id_prefix, trace=trace) for event in events
        ]
        fresh = self._fresh(complete)
        records = self._records(complete, fresh, sender.data_path)
        others = self._others(complete)
        if records:
            await self._produce([complete[index].id for index in fresh], records)
        for attempt in others:
            await attempt.settled()
        ids = [event.id for event in complete]
        return Receipt(ids, ids if not fresh else _without(ids, fresh))

    def _fresh(self, events: Sequence[Event]) -> list[int]:
        """The places of the events that nobody has published or is publishing; of a repeated id the first place."""
        first: dict[str, int] = {}
        for index, event in enumerate(events):
            if not self._once.is_known(event.id) and self._once.under_way(event.id) is None:
                first.setdefault(event.id, index)
        return list(first.values())

    def _others(self, events: Sequence[Event]) -> set[Attempt]:
        return {attempt for event in events if (attempt := self._once.under_way(event.id)) is not None}

    async def _produce(self, ids: Sequence[str], records: Sequence[Record]) -> None:
        attempt = self._once.begin(ids)
        failure: MainstemError = Unreachable("the first delivery was broken off", code=KAFKA_UNREACHABLE)
        try:
            async with asyncio.timeout(self._durable_within_s):
                await self._producer.send(records)
        except TimeoutError:
            said = f"writing {self.topic}: Kafka did not confirm within {self._durable_within_s:g} s"
            failure = Unreachable(said, code=KAFKA_UNREACHABLE)
            raise failure from None
        except MainstemError as error:
            failure = error
            raise
        else:
            attempt.succeed()
        finally:
            if not attempt.is_settled:
                attempt.fail(failure)

    def _records(self, events: Sequence[Event], places: Sequence[int], data_path: str) -> list[Record]:
        records: list[Record] = []
        wrong: list[FieldError] = []
        first: RequestRefused | None = None
        several = len(events) > 1
        for index in places:
            try:
                records.append(self._writer.record(events[index]))
            except RequestRefused as refused:
                first = first or refused
                wrong.extend(_at(f"[{index}]." * several + data_path, refused))
        if first is not None:
            raise RequestRefused(first.cause, status=first.status, code=first.code, fields=wrong)
        return records


def _at(where: str, refused: RequestRefused) -> Iterator[FieldError]:
    """The wrong fields as the sender knows them: `[3].data.lines[0].quantity`."""
    for wrong in refused.fields:
        path = (where + wrong.field).rstrip(".")
        yield FieldError(path, wrong.expected)
    if not refused.fields:
        yield FieldError(where.rstrip("."), refused.cause)


def _without(ids: Sequence[str], places: Sequence[int]) -> list[str]:
    kept = set(places)
    return [event_id for index, event_id in enumerate(ids) if index not in kept]
