"""The dead letters of one topic, and what has become of each: a projection of that topic and of `_mainstem.letters`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mainstem.codec import headers as h
from mainstem.codec.message import Message, origin_of
from mainstem.errors import TOPIC_MISSING, Misconfigured
from mainstem.event import Origin, Partition
from mainstem.flow.letter_status import TOPIC as STATUS_TOPIC
from mainstem.flow.letter_status import WAITING, LetterStatus, read_status
from mainstem.kafka.reader import Ranges, Reader, reading
from mainstem.recover.faults import Fault, read_fault, read_origin, text_number

UNTRACKED: Final = "untracked"
"""The state of a letter that no sink of mainstem keeps account of: a stream's, or one that somebody else wrote."""

Identity = tuple[str, Origin]
"""An event's id and where it stood first: an id that was published twice can be two letters."""

Scope = tuple[str, str]
"""Whose order a letter belongs to: the topic that it came from, and the key's bytes in hex."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter: its latest copy, for one that was redriven in vain has several."""

    place: Origin
    """Where that copy stands in the dead-letter topic."""
    origin: Origin
    event_id: str
    state: str
    scope: Scope | None
    """None for an untracked letter."""
    fault: Fault
    written_at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    """All of them, those about the failure included."""

    @property
    def identity(self) -> Identity:
        return (self.event_id, self.origin)

    @property
    def failed_at(self) -> datetime:
        """When it failed first; when it was written, where nothing else is said."""
        return self.fault.first_failed_at or self.written_at

    @property
    def redrive_count(self) -> int:
        """How often it has been redriven."""
        return text_number(h.as_dict(self.headers).get(h.REDRIVE_COUNT, b"")) or 0


@dataclass(frozen=True)
class LetterBox:
    """All letters of a dead-letter topic, in the order in which they stood in their topics of origin."""

    dlq: str
    letters: tuple[Letter, ...]
    missing: tuple[LetterStatus, ...] = ()
    """Records that wait, says their sink, but whose letter the dead-letter topic does not hold (any more)."""
    statuses_end: Mapping[Partition, int] | None = None
    """How far `_mainstem.letters` was read: what happens to the letters from now on stands behind that."""


def read_letters(config: Mapping[str, Any], dlq: str) -> LetterBox:
    """Reads the topic and what became of its letters to their ends; blocks.

    Raises Misconfigured (MS-206) when there is no such topic; Unreachable.
    """
    return read_boxes(config, [dlq])[0]


def read_boxes(config: Mapping[str, Any], dlqs: Sequence[str]) -> list[LetterBox]:
    """As `read_letters`, for several topics at once.

    The letters come first: a status that is read after its letter is never older than it.
    """
    messages: dict[str, list[Message]] = {dlq: [] for dlq in dlqs}
    with reading(config) as reader:
        for batch in reader.read(reader.whole(dlqs)):
            for message in batch:
                messages[message.topic() or ""].append(message)
        ranges = _status_ranges(reader)
        statuses = _statuses(reader, ranges)
    ends = {partition: end for partition, (_, end) in ranges.items()}
    return [project(dlq, messages[dlq], statuses.get(dlq, {}), ends) for dlq in dlqs]


def read_statuses(config: Mapping[str, Any], dlq: str) -> Mapping[Identity, LetterStatus]:
    """What has become of the letters of that topic, as far as sinks keep account of them; blocks."""
    with reading(config) as reader:
        return _statuses(reader, _status_ranges(reader)).get(dlq, {})


def project(
    dlq: str,
    messages: Iterable[Message],
    statuses: Mapping[Identity, LetterStatus],
    statuses_end: Mapping[Partition, int] | None = None,
) -> LetterBox:
    """The letters that these messages and states make. Messages are in order within a partition."""
    latest: dict[Identity, Letter] = {}
    for message in messages:
        letter = _letter(message, statuses)
        latest[letter.identity] = letter
    missing = [s for identity, s in statuses.items() if s.state == WAITING and identity not in latest]
    letters = sorted(latest.values(), key=lambda letter: (letter.origin, letter.event_id))
    return LetterBox(dlq, tuple(letters), tuple(missing), statuses_end)


def parse_origin(text: str) -> Origin:
    """`topic:partition:offset` as a value. Raises ValueError."""
    topic, *numbers = text.rsplit(":", 2)
    place = [text_number(number.encode()) for number in numbers]
    if not topic or len(place) != 2 or place[0] is None or place[1] is None:
        raise ValueError(f"{text!r} is not topic:partition:offset")
    return Origin(topic, place[0], place[1])


def scope_of(status: LetterStatus) -> Scope | None:
    """Whose order the record belongs to."""
    return None if status.scope is None else (parse_origin(status.origin).topic, status.scope)


def identity_of(status: LetterStatus) -> Identity:
    """Which letter the status is about."""
    return (status.event_id, parse_origin(status.origin))


def _letter(message: Message, statuses: Mapping[Identity, LetterStatus]) -> Letter:
    given = tuple((name, value or b"") for name, value in message.headers() or ())
    headers = h.as_dict(given)
    place = origin_of(message)
    origin = read_origin(headers) or place
    event_id = h.text(headers, h.ID) or f"kafka:{origin}"
    status = statuses.get((event_id, origin))
    return Letter(
        place=place,
        origin=origin,
        event_id=event_id,
        state=UNTRACKED if status is None else status.state,
        scope=None if status is None else scope_of(status),
        fault=read_fault(headers),
        written_at=datetime.fromtimestamp(max(message.timestamp()[1], 0) / 1000, UTC),
        key=message.key(),
        value=message.value(),
        headers=given,
    )


def _status_ranges(reader: Reader) -> Ranges:
    """Nothing, where no mainstem has ever written a status: the letters are somebody else's."""
    try:
        return reader.whole([STATUS_TOPIC])
    except Misconfigured as error:
        if error.code is TOPIC_MISSING:
            return {}
        raise


def _statuses(reader: Reader, ranges: Ranges) -> Mapping[str, dict[Identity, LetterStatus]]:
    found: dict[str, dict[Identity, LetterStatus]] = defaultdict(dict)
    for messages in reader.read(ranges):
        for message in messages:
            value = message.value()
            if value is not None:
                status = read_status(value)
                found[status.dlq][identity_of(status)] = status
    return found
