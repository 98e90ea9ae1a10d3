"""One letter's whole story: every version of it, and what became of each redrive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mainstem.codec import headers as h
from mainstem.codec.message import Message
from mainstem.errors import TOPIC_MISSING, Misconfigured
from mainstem.flow.dead_letter import first_origin
from mainstem.flow.letter_status import WAITING, LetterStatus
from mainstem.kafka.reader import Reader, reading
from mainstem.recover.faults import FaultReader, text_number
from mainstem.recover.letterbox import Identity, Letter, read_copy
from mainstem.recover.letters import read_statuses


@dataclass(frozen=True, slots=True)
class Attempt:
    """The letter was given to its sink once more, or given up."""

    redrive_id: str
    at: datetime
    revision: int
    dropped_by: str | None
    outcome: str
    """`delivered`, `dropped`, `failed again: ...`, or `not known`: it has not been tried yet, or did not wait any more,
    or what was said of it is older than the last thing that was said."""


@dataclass(frozen=True, slots=True)
class History:
    """What the topics hold of one letter, oldest first."""

    copies: Sequence[Letter]
    """With their contents. A redrive that failed again and an edit each add one."""
    attempts: Sequence[Attempt]
    status: LetterStatus | None
    """The last thing that its sink has said of it."""

    @property
    def revisions(self) -> list[Letter]:
        """The first copy of each revision."""
        firsts: dict[int, Letter] = {}
        for copy in self.copies:
            firsts.setdefault(copy.revision, copy)
        return [firsts[number] for number in sorted(firsts)]


def read_history(config: Mapping[str, Any], dlq: str, redrive: str | None, identity: Identity) -> History:
    """Reads the letter's topics to their ends; blocks. `redrive` is its sink's redrive topic, where it has a sink."""
    with reading(config) as reader:
        copies = _copies(_messages(reader, dlq), identity)
        given = [m for m in _messages(reader, redrive) if _identity(m) == identity]
    status = read_statuses(config, dlq).get(identity)
    return History(copies, attempts(given, copies, status), status)


def attempts(given: Iterable[Message], copies: Sequence[Letter], status: LetterStatus | None) -> list[Attempt]:
    """What became of each record that was given to the sink: a copy came back of it, or the status speaks of it."""
    back = {copy.redrive_id: copy for copy in copies}
    found: dict[str, Attempt] = {}
    for message in given:
        headers = h.as_dict(message.headers())
        redrive_id = h.text(headers, h.REDRIVE_ID) or ""
        found[redrive_id] = Attempt(
            redrive_id=redrive_id,
            at=datetime.fromtimestamp(max(message.timestamp()[1], 0) / 1000, UTC),
            revision=text_number(headers.get(h.REVISION, b"")) or 0,
            dropped_by=h.text(headers, h.DROP),
            outcome=_outcome(redrive_id, back, status),
        )
    return sorted(found.values(), key=lambda attempt: attempt.at)


def _outcome(redrive_id: str, back: Mapping[str | None, Letter], status: LetterStatus | None) -> str:
    if status is not None and status.redrive == redrive_id and status.state != WAITING:
        return status.state
    copy = back.get(redrive_id)
    return "not known" if copy is None else f"failed again: {copy.fault.code or ''} {copy.fault.message}"


def _copies(messages: Iterable[Message], identity: Identity) -> list[Letter]:
    faults = FaultReader()
    event_id = identity[0].encode()
    near = (m for m in messages if h.as_dict(m.headers()).get(h.ID, event_id) == event_id)
    copies = (read_copy(message, faults) for message in near)
    return sorted(
        (copy for copy in copies if copy.identity == identity), key=lambda copy: (copy.written_at, copy.place.offset)
    )


def _identity(message: Message) -> Identity:
    return h.text(h.as_dict(message.headers()), h.ID) or "", first_origin(message)


def _messages(reader: Reader, topic: str | None) -> Iterable[Message]:
    """All of the topic; nothing where there is none (yet)."""
    if topic is None:
        return
    try:
        ranges = reader.whole([topic])
    except Misconfigured as error:
        if error.code is TOPIC_MISSING:
            return
        raise
    for messages in reader.read(ranges):
        yield from messages
