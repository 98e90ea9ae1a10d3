"""What a redrive or a drop writes to the sink's redrive topic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from mainstem.codec import headers as h
from mainstem.errors import Misconfigured
from mainstem.flow.dead_letter import ERROR_HEADERS, FIRST_FAILED_AT, ORIGIN_HEADERS
from mainstem.kafka.reader import Reader
from mainstem.kafka.record import Record
from mainstem.recover.letterbox import Letter

_REWRITTEN: Final = {*ERROR_HEADERS, *ORIGIN_HEADERS, h.REDRIVE_ID, h.REDRIVE_COUNT}
_GOES_ALONG: Final = {FIRST_FAILED_AT}
"""Should it fail again, it is still since then that it waits."""

Partitions = Mapping[str, int]
"""How many partitions each topic has."""


def redriven_record(letter: Letter, topic: str, redrive_id: str, partitions: Partitions) -> Record:
    """The original record again, or its latest revision; the letter's content is needed.

    Where origin and redrive topic have equally many partitions, it goes to the partition of the same number, otherwise
    its key decides. A record that came without an id is told the one under which it waits: at another place it would
    get another.
    """
    kept = original_headers(letter)
    if not any(name == h.ID and value for name, value in kept):
        kept.append((h.ID, letter.event_id.encode()))
    kept += [(name, value) for name, value in letter.headers if name in _GOES_ALONG]
    again = [*_origin(letter), *_redrive(letter, redrive_id)]
    return Record(topic, letter.key, letter.value, [*kept, *again], _partition(letter, topic, partitions))


def dropped_record(
    letter: Letter, topic: str, redrive_id: str, partitions: Partitions, *, who: str, because: str
) -> Record:
    """Tells the sink that the letter is given up. It needs no value, and the letter's content is not needed."""
    said = [(h.ID, letter.event_id.encode()), *_origin(letter), *_redrive(letter, redrive_id)]
    said.append((h.DROP, who.encode()))
    if because:
        said.append((h.DROP_BECAUSE, because.encode()))
    return Record(topic, letter.key, None, said, _partition(letter, topic, partitions))


def original_headers(letter: Letter) -> list[tuple[str, bytes]]:
    """The record's headers without those that failing and redriving have added."""
    return [(name, value) for name, value in letter.headers if name not in _REWRITTEN]


def partition_counts(reader: Reader, topic: str, origins: Collection[str]) -> dict[str, int]:
    """Raises Misconfigured when there is no redrive topic; a topic of origin may be gone, the letters are not."""
    counts = {topic: len(reader.partitions(topic))}
    for origin in origins:
        with suppress(Misconfigured):
            counts[origin] = len(reader.partitions(origin))
    return counts


def _origin(letter: Letter) -> list[tuple[str, bytes]]:
    return list(zip(ORIGIN_HEADERS, (str(part).encode() for part in letter.origin), strict=True))


def _redrive(letter: Letter, redrive_id: str) -> list[tuple[str, bytes]]:
    return [(h.REDRIVE_ID, redrive_id.encode()), (h.REDRIVE_COUNT, str(letter.redrive_count + 1).encode())]


def _partition(letter: Letter, topic: str, partitions: Partitions) -> int:
    return letter.origin.partition if partitions.get(letter.origin.topic) == partitions[topic] else -1
