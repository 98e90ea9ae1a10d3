"""Which few letters go first, to see what the sink makes of them. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from mainstem.event import Origin
from mainstem.flow.letter_status import LetterStatus
from mainstem.recover.letterbox import Letter
from mainstem.recover.redrive.planning import lines_of, standing


def canary_of(letters: Sequence[Letter], most: int) -> list[Letter]:
    """At most so many letters: whole keys that fit in, the oldest keys first. Where not one key fits in, the first
    letters of the oldest: that keeps its order too."""
    scopes = {letter.scope for letter in letters if letter.scope is not None}
    lines = sorted(lines_of(letters, scopes).values(), key=_age)
    chosen: list[Letter] = []
    for line in lines:
        if len(chosen) + len(line) <= most:
            chosen += line
    if not chosen and lines:
        chosen = lines[0][:most]
    return sorted(chosen, key=standing)


def canary_fault(sent: int, failed: Iterable[LetterStatus]) -> str | None:
    """Why the others had better not follow; None where none of the canary has failed again."""
    codes: Counter[str] = Counter(status.code or "no code" for status in failed)
    if not codes:
        return None
    named = ", ".join(f"{code} ({count})" for code, count in codes.most_common())
    return f"canary: {codes.total()} of {sent} letters failed again: {named}; the others were left alone"


def canary_silence(open_: int, sent: int) -> str:
    """Why the redrive does not go on though nothing has failed."""
    return f"canary: the sink has said nothing yet of {open_} of {sent} letters; the others were left alone"


def _age(line: Sequence[Letter]) -> tuple[datetime, tuple[Origin, str]]:
    return line[0].failed_at, standing(line[0])
