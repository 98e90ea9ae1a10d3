"""Reads dead letters and what has become of them. Everything here blocks.

The letters come first: a status that is read after its letter is never older than it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from mainstem.codec.message import Message, origin_of
from mainstem.errors import PLAN_CHANGED, TOPIC_MISSING, Misconfigured, Refused
from mainstem.event import Origin, Partition
from mainstem.flow.letter_status import TOPIC as STATUS_TOPIC
from mainstem.flow.letter_status import LetterStatus, read_status
from mainstem.kafka.reader import Ranges, Reader, reading
from mainstem.recover.letterbox import (
    UNTRACKED,
    Content,
    Identity,
    Letter,
    LetterBox,
    Projection,
    Scope,
    identity_of,
    parse_origin,
    project,
    scope_of,
)

__all__ = [
    "UNTRACKED",
    "Content",
    "Identity",
    "Letter",
    "LetterBox",
    "Scope",
    "identity_of",
    "parse_origin",
    "project",
    "read_boxes",
    "read_contents",
    "read_letters",
    "read_statuses",
    "scope_of",
    "statuses_in",
]

READ_THROUGH: Final = 2000
"""Offsets between two wanted records that are cheaper to read than to jump over."""


def read_letters(config: Mapping[str, Any], dlq: str) -> LetterBox:
    """Reads the topic and what became of its letters to their ends; the contents are left out (`read_contents`).

    Raises Misconfigured (MS-206) when there is no such topic; Unreachable.
    """
    return read_boxes(config, [dlq])[0]


def read_boxes(config: Mapping[str, Any], dlqs: Sequence[str]) -> list[LetterBox]:
    """As `read_letters`, for several topics at once."""
    projections = {dlq: Projection(dlq) for dlq in dlqs}
    with reading(config) as reader:
        letters = reader.whole(dlqs)
        for batch in reader.read(letters):
            for message in batch:
                projections[message.topic() or ""].take(message)
        statuses = _status_ranges(reader)
        for status in statuses_in(reader, statuses):
            if status.dlq in projections:
                projections[status.dlq].note(status)
    ends = _ends(letters)
    return [
        projection.box({p: end for p, end in ends.items() if p.topic == dlq}, _ends(statuses))
        for dlq, projection in projections.items()
    ]


def read_statuses(config: Mapping[str, Any], dlq: str) -> Mapping[Identity, LetterStatus]:
    """What has become of the letters of that topic, as far as sinks keep account of them."""
    with reading(config) as reader:
        said = statuses_in(reader, _status_ranges(reader))
        return {identity_of(status): status for status in said if status.dlq == dlq}


def statuses_in(reader: Reader, ranges: Ranges) -> Iterator[LetterStatus]:
    """The statuses that stand there, in order."""
    for messages in reader.read(ranges):
        for message in messages:
            value = message.value()
            if value is not None:
                yield read_status(value)


def read_contents(reader: Reader, places: Collection[Origin]) -> dict[Origin, Content]:
    """What stands at these places. Raises Refused (MS-402) when one of them is not held any more."""
    wanted = set(places)
    found: dict[Origin, Content] = {}
    for ranges in stretches(wanted):
        for messages in reader.read(ranges):
            found |= {place: _content(message) for message in messages if (place := origin_of(message)) in wanted}
    for place in wanted - found.keys():
        raise Refused(f"the dead-letter topic no longer holds {place}", code=PLAN_CHANGED)
    return found


def stretches(places: Iterable[Origin]) -> list[Ranges]:
    """Ranges that cover these places, to be read one after the other: gaps of more than READ_THROUGH are left out."""
    offsets: dict[Partition, list[int]] = defaultdict(list)
    for place in sorted(places):
        offsets[Partition(place.topic, place.partition)].append(place.offset)
    rounds: list[dict[Partition, tuple[int, int]]] = []
    for partition, line in offsets.items():
        begins = [n for n, offset in enumerate(line) if n == 0 or offset - line[n - 1] > READ_THROUGH]
        for number, (begin, following) in enumerate(zip(begins, [*begins[1:], len(line)], strict=True)):
            if number == len(rounds):
                rounds.append({})
            rounds[number][partition] = (line[begin], line[following - 1] + 1)
    return list(rounds)


def _content(message: Message) -> Content:
    return Content(message.value(), tuple((name, value or b"") for name, value in message.headers() or ()))


def _status_ranges(reader: Reader) -> Ranges:
    """Nothing, where no mainstem has ever written a status: the letters are somebody else's."""
    try:
        return reader.whole([STATUS_TOPIC])
    except Misconfigured as error:
        if error.code is TOPIC_MISSING:
            return {}
        raise


def _ends(ranges: Ranges) -> dict[Partition, int]:
    return {partition: end for partition, (_, end) in ranges.items()}
