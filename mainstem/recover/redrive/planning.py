"""What a redrive, or a drop, would do. No I/O.

A sink delivers a redriven record only if it is the first of its key that waits. So a redrive takes whole keys: with a
selected letter go all letters of its key that wait, the oldest first. A drop takes the selected letters and no others:
they may leave their key's line from wherever they stand.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mainstem.event import Origin
from mainstem.flow.letter_status import WAITING
from mainstem.recover.letterbox import UNTRACKED, Letter, LetterBox, Scope, parse_origin, scope_of
from mainstem.recover.selection import Selection

REDRIVE_CAP: Final = 5
"""A letter that came back so often needs a person to look at it, not another try."""


class Deed(StrEnum):
    """What is done with letters."""

    REDRIVE = "redrive"
    """Their sink is to try them again."""
    DROP = "drop"
    """Their sink is to give them up."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A letter that was meant, waits, and does not go all the same."""

    letter: Letter
    reason: str


@dataclass(frozen=True)
class RedrivePlan:
    """What goes to the sink's redrive topic, in order, and what does not."""

    dlq: str
    selection: Selection
    force: bool
    letters: tuple[Letter, ...]
    not_waiting: tuple[Letter, ...]
    """Selected, but delivered or dropped already, or never under a sink's account."""
    left_out: tuple[LeftOut, ...]
    hash: str
    """Stands for exactly this deed with these letters in this order."""
    deed: Deed = Deed.REDRIVE

    @property
    def keys(self) -> int:
        """How many keys the letters belong to."""
        return len({letter.scope for letter in self.letters})

    @property
    def companions(self) -> int:
        """Letters that go only because an earlier or later one of their key was selected."""
        return sum(not self.selection.takes(letter) for letter in self.letters)

    @property
    def untracked(self) -> tuple[Letter, ...]:
        """Selected letters that no sink keeps account of."""
        return tuple(letter for letter in self.not_waiting if letter.state == UNTRACKED)


def plan(box: LetterBox, selection: Selection, *, force: bool = False) -> RedrivePlan:
    """The letters that a redrive of this selection takes. `force` takes letters beyond REDRIVE_CAP too."""
    selected = [letter for letter in box.letters if selection.takes(letter)]
    scopes = {letter.scope for letter in selected if letter.state == WAITING and letter.scope is not None}
    gaps = _gaps(box)
    going: list[Letter] = []
    left_out: list[LeftOut] = []
    for scope, line in lines_of(box.letters, scopes).items():
        reason = None
        for letter in line:
            reason = reason or _obstacle(letter, gaps.get(scope), force=force)
            if reason is None:
                going.append(letter)
            else:
                left_out.append(LeftOut(letter, reason))
    going.sort(key=standing)
    return RedrivePlan(
        dlq=box.dlq,
        selection=selection,
        force=force,
        letters=tuple(going),
        not_waiting=tuple(letter for letter in selected if letter.state != WAITING),
        left_out=tuple(left_out),
        hash=_hash(Deed.REDRIVE, box.dlq, going),
    )


def plan_drop(box: LetterBox, selection: Selection) -> RedrivePlan:
    """The letters that a drop of this selection takes."""
    selected = [letter for letter in box.letters if selection.takes(letter)]
    going = [letter for letter in selected if letter.state == WAITING]
    return RedrivePlan(
        dlq=box.dlq,
        selection=selection,
        force=False,
        letters=tuple(going),
        not_waiting=tuple(letter for letter in selected if letter.state != WAITING),
        left_out=(),
        hash=_hash(Deed.DROP, box.dlq, going),
        deed=Deed.DROP,
    )


def standing(letter: Letter) -> tuple[Origin, str]:
    """The letter's place in the order in which a redrive goes: within a key, the order of their origins."""
    return letter.origin, letter.event_id


def lines_of(letters: Iterable[Letter], scopes: set[Scope]) -> dict[Scope, list[Letter]]:
    """The letters of these keys that wait, by key, oldest first: `letters` are in that order."""
    lines: dict[Scope, list[Letter]] = defaultdict(list)
    for letter in letters:
        if letter.state == WAITING and letter.scope in scopes and letter.scope is not None:
            lines[letter.scope].append(letter)
    return lines


def _gaps(box: LetterBox) -> dict[Scope, Origin]:
    """Per key the first record that waits without a letter: what comes after it cannot be delivered in order."""
    gaps: dict[Scope, Origin] = {}
    for status in box.missing:
        scope, origin = scope_of(status), parse_origin(status.origin)
        if scope is not None:
            gaps[scope] = min(origin, gaps.get(scope, origin))
    return gaps


def _obstacle(letter: Letter, gap: Origin | None, *, force: bool) -> str | None:
    """Why this letter, and with it every later one of its key, has to stay."""
    if gap is not None and gap < letter.origin:
        return f"{gap} waits before it, and the dead-letter topic does not hold that record"
    if letter.redrive_count >= REDRIVE_CAP and not force:
        return f"{letter.origin} came back {letter.redrive_count} times: look at it, then use --force"
    return None


def _hash(deed: Deed, dlq: str, letters: Sequence[Letter]) -> str:
    said = "\n".join([deed, dlq, *(f"{letter.event_id} {letter.origin} {letter.place}" for letter in letters)])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
