"""Carries a redrive out: copies letters to the sink's redrive topic, a transaction at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from mainstem.codec import headers as h
from mainstem.errors import PLAN_CHANGED, Misconfigured, Refused
from mainstem.event import Partition
from mainstem.flow.dead_letter import ERROR_HEADERS, FIRST_FAILED_AT, ORIGIN_HEADERS
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.recover.letters import Letter, read_letters
from mainstem.recover.pace import Pace
from mainstem.recover.redrive.planning import RedrivePlan, plan

BATCH_RECORDS: Final = 500
"""Records of one transaction: all of them become visible to the sink, or none."""

_REWRITTEN: Final = {*ERROR_HEADERS, *ORIGIN_HEADERS, h.REDRIVE_ID, h.REDRIVE_COUNT}
_GOES_ALONG: Final = {FIRST_FAILED_AT}
"""Should it fail again, it is still since then that it waits."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """What was given to the sink again. What it makes of that stands in `_mainstem.letters` behind `statuses_end`."""

    redrive_id: str
    letters: Sequence[Letter]
    statuses_end: Mapping[Partition, int] = field(default_factory=dict)


async def run(
    config: Mapping[str, Any],
    agreed: RedrivePlan,
    *,
    redrive_id: str,
    topic: str,
    records_s: float | None = None,
    on_progress: Callable[[int], object] = lambda records: None,
) -> Redriven:
    """Redrives the plan into `topic`. Running it again is safe: the sink drops what no longer waits.

    Raises Refused (MS-402) when the letters are no longer those of the plan, Fenced when another redrive of the same
    topic has begun, Unreachable when Kafka does not confirm; what was committed before that stays redriven.
    """
    async with TransactionalProducer(config, f"mainstem.redrive.{agreed.dlq}") as producer:
        box = await asyncio.to_thread(read_letters, config, agreed.dlq)
        _check_still_true(agreed, plan(box, agreed.selection, force=agreed.force))
        origins = {letter.origin.topic for letter in agreed.letters}
        counts = await asyncio.to_thread(_partition_counts, config, topic, origins)
        records = [redriven_record(letter, topic, redrive_id, counts) for letter in agreed.letters]
        pace = Pace(records_s)
        size = pace.batch(BATCH_RECORDS)
        for start in range(0, len(records), size):
            batch = records[start : start + size]
            await producer.commit(batch)
            on_progress(len(batch))
            await pace.spend(len(batch))
    return Redriven(redrive_id, agreed.letters, box.statuses_end or {})


def redriven_record(letter: Letter, topic: str, redrive_id: str, partitions: Mapping[str, int]) -> Record:
    """The original record again. `partitions` are the numbers of partitions by topic: where origin and redrive topic
    have equally many, it goes to the partition of the same number, otherwise its key decides.

    A record that came without an id is told the one under which it waits: at another place it would get another.
    """
    kept = original_headers(letter)
    if not any(name == h.ID and value for name, value in kept):
        kept.append((h.ID, letter.event_id.encode()))
    origin = zip(ORIGIN_HEADERS, (str(part).encode() for part in letter.origin), strict=True)
    kept += [(name, value) for name, value in letter.headers if name in _GOES_ALONG]
    redrive = [(h.REDRIVE_ID, redrive_id.encode()), (h.REDRIVE_COUNT, str(letter.redrive_count + 1).encode())]
    same = partitions.get(letter.origin.topic) == partitions[topic]
    return Record(topic, letter.key, letter.value, [*kept, *origin, *redrive], letter.origin.partition if same else -1)


def original_headers(letter: Letter) -> list[tuple[str, bytes]]:
    """The record's headers without those that failing and redriving have added."""
    return [(name, value) for name, value in letter.headers if name not in _REWRITTEN]


def plan_changed(agreed_hash: str, now: RedrivePlan) -> Refused:
    """The error for a plan that is not true any more."""
    return Refused(
        f"plan {agreed_hash} of {now.dlq} no longer holds: {len(now.letters)} records wait now (plan {now.hash})",
        code=PLAN_CHANGED,
    )


def _check_still_true(agreed: RedrivePlan, now: RedrivePlan) -> None:
    if agreed.hash != now.hash:
        raise plan_changed(agreed.hash, now)


def _partition_counts(config: Mapping[str, Any], topic: str, origins: set[str]) -> dict[str, int]:
    """Raises Misconfigured when there is no redrive topic; a topic of origin may be gone, the letters are not."""
    with reading(config) as reader:
        counts = {topic: len(reader.partitions(topic))}
        for origin in origins:
            with suppress(Misconfigured):
                counts[origin] = len(reader.partitions(origin))
    return counts
