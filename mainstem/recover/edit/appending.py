"""Appends a new version of a letter to the dead-letter topic, if it is still the version that the person has seen.

Its status is left alone: the letter goes on waiting, and only its sink can say otherwise. A status that said `waiting`
here could come after the sink's `delivered`, and hold its key for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from mainstem.codec import headers as h
from mainstem.errors import KAFKA_UNREACHABLE, PLAN_CHANGED, Fenced, Refused, Unreachable
from mainstem.event import Partition
from mainstem.flow.letter_status import WAITING
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.recover.faults import FaultReader
from mainstem.recover.letterbox import UNTRACKED, Letter, read_copy
from mainstem.recover.letters import read_statuses

_OF_A_VERSION: Final = {h.REVISION, h.EDITED_BY, h.REDRIVE_ID, h.REDRIVE_COUNT, h.VALUE_SCHEMA_ID}
_FIX: Final = "look at the letter as it is now, and edit that"


def edited_record(letter: Letter, value: bytes, who: str) -> Record:
    """The letter's next version: key, origin, fault and all other headers stay; it has never been redriven."""
    kept = [(name, part) for name, part in letter.headers if name not in _OF_A_VERSION]
    version = [(h.REVISION, str(letter.revision + 1).encode()), (h.EDITED_BY, who.encode())]
    return Record(letter.place.topic, letter.key, value, [*kept, *version], letter.place.partition)


def check_editable(letter: Letter) -> None:
    """Raises Refused where an edit would change nothing."""
    if letter.state == UNTRACKED:
        raise Refused(
            f"{letter.event_id} is no sink's letter: it cannot be redriven, so there is no use in editing it",
            fix="publish the corrected event again",
        )
    if letter.state != WAITING:
        raise Refused(f"{letter.event_id} was {letter.state}: it does not wait any more", fix="nothing is to be done")


async def append(config: Mapping[str, Any], letter: Letter, record: Record, read_to: Mapping[Partition, int]) -> None:
    """Writes the version. `letter` was the newest copy when the topic was read to `read_to`.

    Raises Refused (MS-402) when somebody else has edited it since, or does at this moment, or it does not wait any
    more; Unreachable. Nothing is changed then.
    """
    async with TransactionalProducer(config, _transactional_id(letter)) as producer:
        await asyncio.to_thread(_check_unchanged, config, letter, read_to)
        try:
            await producer.commit([record])
        except Fenced:
            raise Refused(
                f"somebody else edits {letter.event_id} at this moment", code=PLAN_CHANGED, fix=_FIX
            ) from None


def _check_unchanged(config: Mapping[str, Any], letter: Letter, read_to: Mapping[Partition, int]) -> None:
    """Read after whoever edited this letter before has been fenced: no version of theirs comes any more."""
    newer = [copy for copy in _copies_behind(config, letter, read_to) if copy.revision > letter.revision]
    if newer:
        by = h.text(h.as_dict(newer[-1].headers), h.EDITED_BY) or "somebody"
        raise Refused(
            f"{letter.event_id} was edited meanwhile by {by}: it is at revision {newer[-1].revision} now",
            code=PLAN_CHANGED,
            fix=_FIX,
        )
    status = read_statuses(config, letter.place.topic).get(letter.identity)
    if status is not None and status.state != WAITING:
        raise Refused(f"{letter.event_id} was {status.state} meanwhile", code=PLAN_CHANGED, fix="nothing is to be done")


def _copies_behind(config: Mapping[str, Any], letter: Letter, read_to: Mapping[Partition, int]) -> list[Letter]:
    """Reads to the high watermark: another's open transaction would hide committed copies behind it."""
    faults = FaultReader()
    partitions = list(read_to)
    ends = Admin(config).ends(partitions)
    if len(ends) < len(partitions):
        raise Unreachable(f"not every partition of {letter.place.topic} answers", code=KAFKA_UNREACHABLE)
    with reading(config) as reader:
        found = [
            read_copy(message, faults)
            for messages in reader.read({p: (start, ends[p]) for p, start in read_to.items()})
            for message in messages
        ]
    return [copy for copy in found if copy.identity == letter.identity]


def _transactional_id(letter: Letter) -> str:
    """One per letter: two people who edit different letters do not meet."""
    said = f"{letter.place.topic}|{letter.event_id}|{letter.origin}"
    return f"mainstem.edit.{hashlib.sha256(said.encode()).hexdigest()[:24]}"
