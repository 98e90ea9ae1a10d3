"""The dead letters of one topic, and what has become of each. Values only, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from sys import intern
from typing import Final, NamedTuple

from mainstem.codec import headers as h
from mainstem.codec.message import Message, origin_of
from mainstem.event import Origin, Partition
from mainstem.flow import dead_letter as dl
from mainstem.flow.letter_status import WAITING, LetterStatus
from mainstem.recover.faults import Fault, FaultReader, read_origin, text_number

UNTRACKED: Final = "untracked"
"""The state of a letter that no sink of mainstem keeps account of: a stream's, or one that somebody else wrote."""

Identity = tuple[str, Origin]
"""An event's id and where it stood first: an id that was published twice can be two letters."""

Scope = tuple[str, str]
"""Whose order a letter belongs to: the topic that it came from, and the key's bytes in hex."""


class Content(NamedTuple):
    """What a letter's record holds besides its key."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    """All of them, those about the failure included."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, as its newest copy has it: it has several when it was redriven in vain, or edited."""

    place: Origin
    """Where that copy stands in the dead-letter topic."""
    first_place: Origin
    """Where its first copy stands."""
    origin: Origin
    event_id: str
    state: str
    scope: Scope | None
    """None for an untracked letter."""
    fault: Fault
    failed_at: datetime
    """When it failed first; when it was written, where nothing else is said."""
    written_at: datetime
    key: bytes | None
    attempts: int | None = None
    revision: int = 0
    """How often it has been edited, the edits of the event before it failed included."""
    redrive_count: int = 0
    """How often this revision has been redriven."""
    redrive_id: str | None = None
    """The redrive that this copy came back from."""
    content: Content | None = None
    """None where it was not asked for: letters that are only counted are not held in memory."""

    @property
    def identity(self) -> Identity:
        return (self.event_id, self.origin)

    @property
    def value(self) -> bytes | None:
        return self._content.value

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]:
        return self._content.headers

    @property
    def _content(self) -> Content:
        if self.content is None:
            raise ValueError(f"the content of {self.place} was not read")
        return self.content


@dataclass(frozen=True)
class LetterBox:
    """All letters of a dead-letter topic, in the order in which they stood in their topics of origin."""

    dlq: str
    letters: tuple[Letter, ...]
    missing: tuple[LetterStatus, ...] = ()
    """Records that wait, says their sink, but whose letter the dead-letter topic does not hold (any more)."""
    end: Mapping[Partition, int] | None = None
    """How far the dead-letter topic was read."""
    statuses_end: Mapping[Partition, int] | None = None
    """How far `_mainstem.letters` was read: what happens to the letters from now on stands behind that."""


class Projection:
    """Makes a LetterBox of messages and, after them, of statuses; holds no message, but its content if asked to."""

    def __init__(self, dlq: str, *, with_content: bool = False) -> None:
        self._dlq = dlq
        self._with_content = with_content
        self._faults = FaultReader()
        self._letters: dict[Identity, Letter] = {}
        self._missing: dict[Identity, LetterStatus] = {}

    def take(self, message: Message) -> None:
        """A message of the dead-letter topic; in order within a partition."""
        letter = read_copy(message, self._faults, with_content=self._with_content)
        known = self._letters.get(letter.identity)
        if known is None:
            self._letters[letter.identity] = letter
        elif _age(letter) >= _age(known):
            self._letters[letter.identity] = replace(letter, first_place=known.first_place)

    def note(self, status: LetterStatus) -> None:
        """A later status than all before it of the same letter."""
        identity = identity_of(status)
        letter = self._letters.get(identity)
        if letter is not None:
            state, scope = intern(status.state), scope_of(status)
            if (letter.state, letter.scope) != (state, scope):
                self._letters[identity] = replace(letter, state=state, scope=scope)
        elif status.state == WAITING:
            self._missing[identity] = status
        else:
            self._missing.pop(identity, None)

    def box(
        self, end: Mapping[Partition, int] | None = None, statuses_end: Mapping[Partition, int] | None = None
    ) -> LetterBox:
        """What has been taken and noted."""
        letters = sorted(self._letters.values(), key=lambda letter: (letter.origin, letter.event_id))
        return LetterBox(self._dlq, tuple(letters), tuple(self._missing.values()), end, statuses_end)


def project(dlq: str, messages: Iterable[Message], statuses: Mapping[Identity, LetterStatus]) -> LetterBox:
    """The letters that these messages and states make, with their contents."""
    projection = Projection(dlq, with_content=True)
    for message in messages:
        projection.take(message)
    for status in statuses.values():
        projection.note(status)
    return projection.box()


def read_copy(message: Message, faults: FaultReader, *, with_content: bool = True) -> Letter:
    """One copy of a letter by itself: untracked, as far as it says."""
    given = tuple((name, value or b"") for name, value in message.headers() or ())
    headers = h.as_dict(given)
    place = _interned(origin_of(message))
    origin = read_origin(headers)
    origin = place if origin is None else _interned(origin)
    written_at = datetime.fromtimestamp(max(message.timestamp()[1], 0) / 1000, UTC)
    return Letter(
        place=place,
        first_place=place,
        origin=origin,
        event_id=h.text(headers, h.ID) or f"kafka:{origin}",
        state=UNTRACKED,
        scope=None,
        fault=faults.read(headers),
        failed_at=h.parse_time(headers.get(dl.FIRST_FAILED_AT)) or written_at,
        written_at=written_at,
        key=message.key(),
        attempts=text_number(headers.get(dl.ATTEMPTS, b"")),
        revision=h.parse_number(headers.get(h.REVISION)) or 0,
        redrive_count=text_number(headers.get(h.REDRIVE_COUNT, b"")) or 0,
        redrive_id=h.text(headers, h.REDRIVE_ID),
        content=Content(message.value(), given) if with_content else None,
    )


def parse_origin(text: str) -> Origin:
    """`topic:partition:offset` as a value. Raises ValueError."""
    topic, *numbers = text.rsplit(":", 2)
    place = [text_number(number.encode()) for number in numbers]
    if not topic or len(place) != 2 or place[0] is None or place[1] is None:
        raise ValueError(f"{text!r} is not topic:partition:offset")
    return Origin(topic, place[0], place[1])


def scope_of(status: LetterStatus) -> Scope | None:
    """Whose order the record belongs to."""
    return None if status.scope is None else (intern(parse_origin(status.origin).topic), status.scope)


def identity_of(status: LetterStatus) -> Identity:
    """Which letter the status is about."""
    return (status.event_id, parse_origin(status.origin))


def _age(letter: Letter) -> tuple[int, int, datetime, int]:
    """Which of two copies is the newer one. An edit counts more than what an earlier revision came back with: that was
    under way when it was edited. Time decides last, for copies of a record without key are in several partitions."""
    return letter.revision, letter.redrive_count, letter.written_at, letter.place.offset


def _interned(origin: Origin) -> Origin:
    return Origin(intern(origin.topic), origin.partition, origin.offset)
