"""The one judge of what became of what was published. It knows no scenario: histories in, a verdict out.

Order is judged per key. With a bound on repeats (at-least-once) it is the order of the first effects that counts: a
successor begins again where its predecessor's last commit was, and so repeats a stretch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

SHOWN = 5


class Mark(NamedTuple):
    """One event where it was published, or where one of its effects was seen."""

    event_id: str
    key: str
    seq: int
    """Its place among the events of its key."""
    token: str = ""
    """The idempotency key that the effect carried. A repeat with another one is never allowed."""

    def __str__(self) -> str:
        return f"{self.key}/{self.seq} ({self.event_id})"


@dataclass(frozen=True, slots=True)
class History:
    """What happened. Where order matters, it is that of the sequences."""

    published: Sequence[Mark]
    """What became durable at the beginning of the path; those of one key in rising `seq`."""
    delivered: Sequence[Mark]
    """Every effect seen at the end of the path, in the order in which they became visible."""
    waiting: Sequence[Mark] = ()
    """Dead letters that are still to be redriven, in the order in which they became letters."""
    dropped: Collection[str] = ()
    """The ids of events that an operator gave up."""
    aborted: Collection[str] = ()
    """The ids of events that were written only in transactions that never committed."""
    refused: Collection[str] | None = None
    """The ids of all events that the target refuses, where that is known: nothing else has a reason to wait."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the path promises, where it is less than exactly-once in order."""

    repeats: int = 0
    """Repeated effects that are allowed in all, each with the token of the first."""
    may_pass: bool = False
    """Whether an event may be delivered while an earlier one of its key waits (`on_failure: skip`)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that is wrong, each event named once for each kind of wrong that it suffered."""

    lost: tuple[Mark, ...] = ()
    """Published, and neither delivered nor waiting nor dropped."""
    doubled: tuple[Mark, ...] = ()
    """Effects beyond the first and the allowed repeats; or waiting, or dropped, though delivered; or waiting twice."""
    reordered: tuple[Mark, ...] = ()
    """Delivered, or put to wait, after a later one of the same key."""
    skipped: tuple[Mark, ...] = ()
    """Not delivered, though a later one of the same key was."""
    aborted_read: tuple[Mark, ...] = ()
    """Seen, though it was only ever part of transactions that never committed."""
    invented: tuple[Mark, ...] = ()
    """Seen, but nobody published it, or not with this key and number."""
    withheld: tuple[Mark, ...] = ()
    """Waiting, though the target refuses neither it nor an earlier one of its key."""
    miscounted: tuple[Mark, ...] = ()
    """Counted otherwise than the events of their key add up to."""
    repeats: int = field(default=0, compare=False)
    """How many allowed repeats there were. No defect."""

    @property
    def is_clean(self) -> bool:
        return not self.defects()

    def defects(self) -> dict[str, tuple[Mark, ...]]:
        """Only the kinds of wrong that there are."""
        return {name: marks for name in DEFECTS if (marks := getattr(self, name))}

    def examples(self, shown: int = SHOWN) -> list[str]:
        """A line for each kind of wrong that there is, with some of the events that suffered it."""
        return [
            f"{name} {len(marks)}: {', '.join(map(str, marks[:shown]))}{' ...' if len(marks) > shown else ''}"
            for name, marks in self.defects().items()
        ]

    @classmethod
    def together(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """All that is wrong in several histories."""
        listed = list(verdicts)
        kinds = {name: tuple(mark for one in listed for mark in getattr(one, name)) for name in DEFECTS}
        return cls(**kinds, repeats=sum(one.repeats for one in listed))


DEFECTS = tuple(part.name for part in fields(Verdict) if part.name != "repeats")
EXACTLY_ONCE = Rules()


def judge(history: History, rules: Rules = EXACTLY_ONCE) -> Verdict:
    """Compares what was seen with what was published. Raises ValueError where the published themselves are no order."""
    known = _by_id(history.published)
    delivered, waiting = _known(history.delivered, known), _known(history.waiting, known)
    strange = [mark for mark in (*history.delivered, *history.waiting) if not _is_known(mark, known)]
    firsts, excess, repeats = _split_repeats(delivered, rules)
    dropped = [known[event_id] for event_id in set(history.dropped) if event_id in known]
    twice = _second([*firsts.values(), *waiting, *dropped])
    settled = firsts.keys() | {mark.event_id for mark in (*waiting, *dropped)}
    order = list(firsts.values())
    return Verdict(
        lost=tuple(mark for mark in history.published if mark.event_id not in settled),
        doubled=tuple(excess + twice),
        reordered=tuple(_late(order) + _late(_unique(waiting))),
        skipped=() if rules.may_pass else tuple(_passed(history.published, order, history.dropped)),
        aborted_read=tuple(mark for mark in strange if mark.event_id in history.aborted),
        invented=tuple(mark for mark in strange if mark.event_id not in history.aborted),
        withheld=tuple(_without_cause(_unique(waiting), known, history.refused)),
        repeats=repeats,
    )


def _by_id(published: Sequence[Mark]) -> Mapping[str, Mark]:
    last: dict[str, int] = {}
    for mark in published:
        if mark.seq <= last.get(mark.key, mark.seq - 1):
            raise ValueError(f"published out of order: {mark}")
        last[mark.key] = mark.seq
    known = {mark.event_id: mark for mark in published}
    if len(known) < len(published):
        raise ValueError("two published events have the same id")
    return known


def _is_known(mark: Mark, known: Mapping[str, Mark]) -> bool:
    found = known.get(mark.event_id)
    return found is not None and found[:3] == mark[:3]


def _known(seen: Iterable[Mark], known: Mapping[str, Mark]) -> list[Mark]:
    return [mark for mark in seen if _is_known(mark, known)]


def _split_repeats(delivered: Sequence[Mark], rules: Rules) -> tuple[dict[str, Mark], list[Mark], int]:
    """The first effect of each event in order, the repeats that are too many, and how many were allowed."""
    firsts: dict[str, Mark] = {}
    excess: list[Mark] = []
    repeats = 0
    for mark in delivered:
        first = firsts.get(mark.event_id)
        if first is None:
            firsts[mark.event_id] = mark
        elif mark.token == first.token and repeats < rules.repeats:
            repeats += 1
        else:
            excess.append(mark)
    return firsts, excess, repeats


def _second(marks: Sequence[Mark]) -> list[Mark]:
    counts = Counter(mark.event_id for mark in marks)
    return [mark for mark in _unique(marks) if counts[mark.event_id] > 1]


def _unique(marks: Sequence[Mark]) -> list[Mark]:
    """The first of each event, in order."""
    firsts: dict[str, Mark] = {}
    for mark in marks:
        firsts.setdefault(mark.event_id, mark)
    return list(firsts.values())


def _late(order: Sequence[Mark]) -> list[Mark]:
    """Those that stand behind a later one of their key."""
    highest: dict[str, int] = defaultdict(lambda: -1)
    late = []
    for mark in order:
        if mark.seq < highest[mark.key]:
            late.append(mark)
        highest[mark.key] = max(highest[mark.key], mark.seq)
    return late


def _passed(published: Sequence[Mark], delivered: Sequence[Mark], dropped: Collection[str]) -> list[Mark]:
    """Those that are not delivered though a later one of their key is; an operator's drop opens the way."""
    furthest = _highest(delivered)
    done = {mark.event_id for mark in delivered} | set(dropped)
    return [mark for mark in published if mark.event_id not in done and mark.seq < furthest(mark.key)]


def _without_cause(
    waiting: Sequence[Mark], known: Mapping[str, Mark], refused: Collection[str] | None
) -> Iterable[Mark]:
    if refused is None:
        return ()
    first: dict[str, int] = {}
    for mark in (known[event_id] for event_id in refused if event_id in known):
        first[mark.key] = min(first.get(mark.key, mark.seq), mark.seq)
    return (mark for mark in waiting if mark.seq < first.get(mark.key, mark.seq + 1))


def _highest(marks: Iterable[Mark]) -> Callable[[str], int]:
    highest: dict[str, int] = {}
    for mark in marks:
        highest[mark.key] = max(highest.get(mark.key, -1), mark.seq)
    return lambda key: highest.get(key, -1)
