"""The Kafka records that say what has become of a sink's records: dead letters, and the states of letters."""

from __future__ import annotations

from collections.abc import Iterator

from mainstem.flow.dead_letter import cause, dead_letter, first_origin
from mainstem.flow.item import Item
from mainstem.flow.letter_status import DELIVERED, DROPPED, WAITING, read_occasion, status_record
from mainstem.flow.settlement import Outcomes
from mainstem.kafka.record import Record


def letter_records(outcomes: Outcomes, dlq: str) -> Iterator[tuple[Item, Record]]:
    """In the order in which they are to be written, each with the record that it is about."""
    for item, failure in outcomes.letters:
        yield item, dead_letter(item.message, failure, dlq)
        yield item, _status(dlq, item, WAITING, cause(failure), failure.error.code.number)
    for item in outcomes.released:
        yield item, _status(dlq, item, DROPPED if item.is_given_up else DELIVERED)


def _status(dlq: str, item: Item, state: str, why: str | None = None, code: str | None = None) -> Record:
    origin, occasion = first_origin(item.message), read_occasion(item.message.headers())
    key = item.scope.key
    return status_record(dlq, item.event_id, state, origin=origin, cause=why, code=code, scope=key, occasion=occasion)
