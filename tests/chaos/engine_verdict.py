"""What has become of every event that workers of the engine took, as any read_committed reader sees it.

It knows nothing of the engine: outputs, dead letters and the table's changelog are put before the oracle.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mainstem.codec.message import Message
from mainstem.kafka.reader import reading
from tests.chaos.oracle import History, Mark, Verdict, judge


@dataclass(frozen=True, slots=True)
class Output:
    """What a worker wrote of one event."""

    mark: Mark
    count: int | None = None
    """How many events of its key it was said to be, itself included; None where nothing is counted."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in the topics in the end; of each key in the order in which it was written."""

    outputs: Sequence[Output]
    letters: Sequence[Mark]
    table: Mapping[str, int] | None = None
    """The changelog's last value of each key; None where nothing is counted."""


def judge_engine(published: Sequence[Mark], poison: Collection[str], seen: Seen) -> Verdict:
    """`poison` has the ids of the events that become dead letters, and nothing else."""
    good = [mark for mark in published if mark.event_id not in poison]
    bad = [mark for mark in published if mark.event_id in poison]
    verdict = Verdict.together(
        [judge(History(good, [output.mark for output in seen.outputs])), judge(History(bad, seen.letters))]
    )
    return verdict if seen.table is None else replace(verdict, miscounted=tuple(_miscounted(good, seen)))


def _miscounted(good: Sequence[Mark], seen: Seen) -> Iterator[Mark]:
    """Outputs of a key that are not counted 1, 2, 3, ..., and last values that are not the number of its events."""
    counts: Counter[str] = Counter()
    for output in seen.outputs:
        counts[output.mark.key] += 1
        if output.count != counts[output.mark.key]:
            yield output.mark._replace(event_id=f"{output.mark.event_id} counted as {output.count}")
    table, wanted = seen.table or {}, Counter(mark.key for mark in good)
    for key in sorted(table.keys() | wanted.keys()):
        if table.get(key, 0) != wanted[key]:
            yield Mark(f"{key} ends with {table.get(key, 0)}, not {wanted[key]}", key, wanted[key])


def read_seen(config: Mapping[str, Any], outputs: str, letters: str, changelog: str | None) -> Seen:
    """From these topics. Raises Unreachable where one of them cannot be read to its end."""
    written = [(message, json.loads(message.value() or b"{}")) for message in _whole(config, outputs)]
    return Seen(
        [Output(_mark(message, data), data.get("count")) for message, data in written],
        [_mark(message, json.loads(message.value() or b"{}")) for message in _whole(config, letters)],
        None if changelog is None else _table(_whole(config, changelog)),
    )


def _mark(message: Message, data: Mapping[str, Any]) -> Mark:
    return Mark(str(data["id"]), (message.key() or b"").decode(), data["seq"])


def _table(changelog: Sequence[Message]) -> dict[str, int]:
    return {json.loads(message.key() or b""): json.loads(message.value() or b"")["n"] for message in changelog}


def _whole(config: Mapping[str, Any], topic: str) -> list[Message]:
    with reading(config) as reader:
        return [message for batch in reader.read(reader.whole([topic])) for message in batch]
