"""A source's batch as Kafka records: the good events for the topic, the bad ones as dead letters beside them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mainstem.errors import Rejected
from mainstem.ingest.letters import letter_for
from mainstem.ingest.push import STEP
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.record import Record
from mainstem.observe import metrics
from mainstem.sdk.source import Batch, Position

CHUNK_EVENTS = 200
"""Events encoded between two looks at the loop: about 10 ms, so that a gateway beside it keeps answering."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What one transaction writes, but for the position's own record."""

    records: Sequence[Record]
    position: Position
    refused: Counter[str]
    """How many of the records are dead letters, by error code."""


class Packer:
    """Completes and encodes a source's events."""

    def __init__(self, integration: str, source: str, writer: EventWriter) -> None:
        self._integration = integration
        self._source = source
        self._writer = writer

    async def pack(self, batch: Batch) -> Packed:
        """An event that does not fit the schema becomes a dead letter; the others are not to blame."""
        records: list[Record] = []
        refused: Counter[str] = Counter()
        for start in range(0, len(batch.events), CHUNK_EVENTS):
            for event in batch.events[start : start + CHUNK_EVENTS]:
                complete = self._writer.complete(event, f"{self._integration}.{self._source}")
                try:
                    records.append(self._writer.record(complete))
                except Rejected as error:
                    refused[error.code.number] += 1
                    records.append(letter_for(complete, self._writer.topic, self._integration, self._source, error))
            await asyncio.sleep(0)
        return Packed(records, batch.position, refused)

    def count(self, packed: Packed) -> None:
        """Counts a batch when its transaction is through."""
        letters = packed.refused.total()
        metrics.records.labels(self._integration, STEP, "published").inc(len(packed.records) - letters)
        if letters:
            metrics.records.labels(self._integration, STEP, "dead_lettered").inc(letters)
        for number, count in packed.refused.items():
            metrics.dead_letters.labels(self._integration, self._source, number).inc(count)
