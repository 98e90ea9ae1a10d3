"""One redrive (or drop) as a value: what was agreed, how far it is, how it ended. No I/O.

It keeps no list of its letters. They are those of its selection whose first copy stood in the dead-letter topic when it
was planned; it goes through them in one order, so that the last one it has sent says which are left. What the sink has
made of them stands in `_mainstem.letters`, under the redrive's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final

from pydantic import TypeAdapter

from mainstem.errors import PLAN_CHANGED, Refused
from mainstem.event import Origin, Partition
from mainstem.project import names
from mainstem.recover.job_states import Happening, JobState, following
from mainstem.recover.jobs import Jobs
from mainstem.recover.letterbox import Identity, Letter, LetterBox, Scope
from mainstem.recover.redrive.planning import Deed, RedrivePlan, plan, plan_drop, standing
from mainstem.recover.selection import Selection

TOPIC: Final = names.internal("redrives")

Rows = tuple[tuple[str, int, int], ...]
"""Topic, partition and the offset after the last one that counts."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a plan is to be carried out, and who wants it."""

    who: str
    because: str = ""
    """Why, for a drop."""
    records_s: float | None = None
    canary: int = 0
    """So many letters first; 0 is all of them at once."""


@dataclass(frozen=True)
class Job:
    """See the module."""

    id: str
    state: JobState
    deed: Deed
    dlq: str
    selection: Selection
    force: bool
    plan: str
    """Its hash."""
    letters: int
    keys: int
    end: Rows
    """Of the dead-letter topic, when it was planned."""
    statuses_from: Rows
    """What its letters' sink says of them stands behind that."""
    terms: Terms
    at: datetime
    sent: int = 0
    """Letters that the sink has been given."""
    last: tuple[Origin, str] | None = None
    """The last of them, in the order of `standing`."""
    canary_sent: tuple[tuple[str, Origin], ...] = ()
    canary_passed: bool = False
    has_begun: bool = False
    error: str | None = None

    @property
    def statuses_offsets(self) -> dict[Partition, int]:
        return {Partition(topic, number): offset for topic, number, offset in self.statuses_from}

    @property
    def is_a_canarys(self) -> bool:
        """Whether it is still about its first few letters."""
        return self.terms.canary > 0 and not self.canary_passed

    def on(self, happening: Happening, error: str | None = None) -> Job:
        """The job after that; itself where nothing changes. Raises Refused (MS-402) where it cannot happen."""
        state = following(self.state, happening)
        if state is None:
            fix = "plan it anew" if self.state.is_final else "see `mainstem dlq status`"
            raise Refused(f"{self.deed} {self.id} is {self.state}", code=PLAN_CHANGED, fix=fix)
        if state is self.state and happening is not Happening.BEGIN:
            return self
        has_begun = self.has_begun or happening is Happening.BEGIN
        return replace(self, state=state, error=error, at=datetime.now(UTC), has_begun=has_begun)

    def after(self, letters: Sequence[Letter]) -> Job:
        """The job after a transaction that gave these to the sink."""
        return replace(self, sent=self.sent + len(letters), last=standing(letters[-1]), at=datetime.now(UTC))

    def after_canary(self, letters: Sequence[Letter]) -> Job:
        """The job after the transaction of its first few letters."""
        identities = tuple(letter.identity for letter in letters)
        return replace(self, sent=self.sent + len(letters), canary_sent=identities, at=datetime.now(UTC))

    def passed(self) -> Job:
        """The job when nothing is wrong with its first few letters."""
        return replace(self, canary_passed=True, at=datetime.now(UTC))

    def plan_now(self, box: LetterBox) -> RedrivePlan:
        """What its selection takes now of the letters that were there when it was planned: live records may come to
        wait behind them all the time."""
        ends = {Partition(topic, number): offset for topic, number, offset in self.end}
        there = [one for one in box.letters if one.first_place.offset < ends.get(Partition(*one.first_place[:2]), 0)]
        box = replace(box, letters=tuple(there))
        if self.deed is Deed.DROP:
            return plan_drop(box, self.selection)
        return plan(box, self.selection, force=self.force)

    def left(self, box: LetterBox) -> list[Letter]:
        """The letters that it has still to give to the sink, in order.

        Behind one that came back from this very redrive its key's others are not sent: they could only come back too.
        """
        given: set[Identity] = set(self.canary_sent)
        closed: set[Scope | None] = set()
        found = []
        for letter in self.plan_now(box).letters:
            if letter.redrive_id == self.id:
                closed.add(letter.scope)
            is_given = letter.identity in given or (self.last is not None and standing(letter) <= self.last)
            if not is_given and letter.scope not in closed:
                found.append(letter)
        return found


_JOB: Final[TypeAdapter[Job]] = TypeAdapter(Job)

JOBS: Final[Jobs[Job]] = Jobs("redrive", TOPIC, _JOB.dump_json, _JOB.validate_json, "mainstem dlq status")


def planned(agreed: RedrivePlan, box: LetterBox, terms: Terms) -> Job:
    """A new job for that plan of that box."""
    return Job(
        id=token_hex(4),
        state=JobState.PLANNED,
        deed=agreed.deed,
        dlq=agreed.dlq,
        selection=agreed.selection,
        force=agreed.force,
        plan=agreed.hash,
        letters=len(agreed.letters),
        keys=agreed.keys,
        end=_rows(box.end or {}),
        statuses_from=_rows(box.statuses_end or {}),
        terms=terms,
        at=datetime.now(UTC),
    )


def _rows(offsets: Mapping[Partition, int]) -> Rows:
    return tuple((partition.topic, partition.number, offset) for partition, offset in sorted(offsets.items()))
