"""What has become of every movement of a ledger: rows and letters, put before the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from mainstem.codec import headers as h
from mainstem.codec.message import Message
from mainstem.flow.letter_status import WAITING
from mainstem.kafka.reader import reading
from mainstem.recover.letters import read_statuses
from tests.chaos.ledger import SINKS, Ledger, rows
from tests.chaos.movements import Movements, mark_of
from tests.chaos.oracle import History, Mark, Verdict, judge


def judge_ledger(
    ledger: Ledger, movements: Movements, connection: psycopg.Connection, config: Mapping[str, Any]
) -> Verdict:
    """All sinks of the ledger together."""
    return Verdict.together(
        judge(
            History(
                movements.published,
                rows(connection, sink),
                waiting=waiting(config, ledger.dlq(sink)),
                refused=movements.refused,
            )
        )
        for sink in SINKS
    )


def waiting(config: Mapping[str, Any], dlq: str) -> list[Mark]:
    """The letters in the topic whose sink says that they wait: one without the other would be lost to an operator."""
    states = {event_id: status.state for (event_id, _), status in read_statuses(config, dlq).items()}
    with reading(config) as reader:
        found: list[Message] = [message for batch in reader.read(reader.whole([dlq])) for message in batch]
    marks = [_mark(message) for message in found]
    return [mark for mark in marks if states.get(mark.event_id) == WAITING]


def _mark(message: Message) -> Mark:
    event_id = h.text(h.as_dict(message.headers()), h.ID) or ""
    return mark_of(event_id)._replace(key=(message.key() or b"").decode())
