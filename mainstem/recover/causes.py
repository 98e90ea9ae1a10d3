"""Dead letters by cause: a thousand letters are rarely more than three faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mainstem.recover.letterbox import Letter


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """The letters of one cause; `sample` is the message of the latest."""

    cause: str
    code: str | None
    step: str | None
    letters: int
    keys: int
    first_failed_at: datetime
    last_failed_at: datetime
    sample: str


def group_by_cause(letters: Iterable[Letter]) -> list[CauseGroup]:
    """One group per cause, the largest first."""
    by_cause: dict[str, list[Letter]] = defaultdict(list)
    for letter in letters:
        by_cause[letter.fault.cause].append(letter)
    groups = [_group(cause, members) for cause, members in by_cause.items()]
    return sorted(groups, key=lambda group: (-group.letters, group.first_failed_at, group.cause))


def _group(cause: str, members: list[Letter]) -> CauseGroup:
    by_time = sorted(members, key=lambda letter: letter.failed_at)
    latest = by_time[-1]
    return CauseGroup(
        cause=cause,
        code=latest.fault.code,
        step=latest.fault.step,
        letters=len(members),
        keys=len({(letter.origin.topic, letter.key) for letter in members}),
        first_failed_at=by_time[0].failed_at,
        last_failed_at=latest.failed_at,
        sample=latest.fault.message,
    )
