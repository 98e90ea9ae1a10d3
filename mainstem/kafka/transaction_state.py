"""What a transactional producer does next, given what the library said to its last call: values, no I/O.

    FRESH --claim--> READY --begin, write, offsets--> OPEN --commit--> READY
                       ^                               |
                       +------------- abort -----------+      nothing was written; the same work may be tried again

    fenced, in any state   --> FENCED   another producer has the transactional id: leave
    fatal, late or unknown --> SPENT    this instance is never used again; whoever still owns the work claims the id
                                        anew, and then reads its position anew

The words are those of librdkafka's INTRODUCTION.md ("Transactional producer") and KIP-98. Three rules are our own:

* From the moment that a commit is asked for, anything but a clear answer leaves its outcome unknown. It is then settled
  by the next claim, which bumps the epoch (KIP-360): a commit that is still under way is refused from then on.
* A call that took so long that the library may have sent its request twice (LATE) spends the instance even when it
  succeeded. The first copy may still arrive, and would end the next transaction in the middle of it: librdkafka does
  not speak the protocol that forbids this (KIP-890, version 2 of transactions).
* Nothing is claimed but at the owner's call: only the owner of the work can know that it still is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
from typing import Final


class State(StrEnum):
    """Of one producer, between two calls."""

    FRESH = "fresh"
    READY = "ready"
    OPEN = "open"
    SPENT = "spent"
    FENCED = "fenced"


class Call(StrEnum):
    """What the library can be asked for."""

    CLAIM = "taking over the transactional id"
    BEGIN = "beginning"
    WRITE = "writing"
    FLUSH = "waiting for Kafka to have it"
    OFFSETS = "adding offsets"
    COMMIT = "committing"
    ABORT = "aborting"


class Told(Enum):
    """What the library said to a call."""

    DONE = auto()
    LATE = auto()
    """Done, but it took so long that a copy of the request may still be under way."""
    RETRIABLE = auto()
    """Make the same call again."""
    ABORTABLE = auto()
    """The transaction has to be aborted."""
    FENCED = auto()
    """A newer producer has the transactional id, or Kafka has aborted the transaction for its age."""
    FATAL = auto()
    """The instance cannot go on. An error of no other kind counts as this."""
    TIMED_OUT = auto()
    """It was retriable until the deadline; it may still be under way."""


class Next(Enum):
    """What to do then."""

    GO_ON = auto()
    AGAIN = auto()
    ABORT = auto()
    STOP = auto()


class Outcome(StrEnum):
    """What became of the last transaction's records."""

    NOTHING = "nothing was written"
    COMMITTED = "committed"
    UNKNOWN = "whether it was committed is not known"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a producer stands."""

    state: State = State.FRESH
    outcome: Outcome = Outcome.NOTHING
    is_late: bool = False
    """A copy of one of the transaction's requests may still be under way."""


OPENED: Final = Standing(State.OPEN)
"""At the beginning of each transaction."""

_SUCCESS = {Told.DONE, Told.LATE}
_ENDANGERS = {Call.OFFSETS, Call.COMMIT, Call.ABORT}
"""A second copy of their requests does harm in the next transaction. Those of FLUSH carry sequence numbers."""


def heard(now: Standing, call: Call, told: Told) -> tuple[Standing, Next]:
    """Where the producer stands after that answer, and what to do next. The one place that decides."""
    if told is Told.RETRIABLE:
        return now, Next.AGAIN
    if told is Told.FENCED:
        return replace(now, state=State.FENCED, outcome=_doubt(call)), Next.STOP
    if call is Call.CLAIM:
        return (Standing(State.READY) if told in _SUCCESS else now), Next.STOP
    if told is Told.LATE and call in _ENDANGERS:
        now = replace(now, is_late=True)
    if call is Call.COMMIT or call is Call.ABORT:
        return _ended(now, call, told), Next.STOP
    return _under_way(now, told)


def _under_way(now: Standing, told: Told) -> tuple[Standing, Next]:
    if told in _SUCCESS:
        return now, Next.GO_ON
    if told is Told.ABORTABLE:
        return now, Next.ABORT
    return replace(now, state=State.SPENT), Next.STOP


def _ended(now: Standing, call: Call, told: Told) -> Standing:
    if told not in _SUCCESS:
        return replace(now, state=State.SPENT, outcome=_doubt(call))
    outcome = Outcome.COMMITTED if call is Call.COMMIT else Outcome.NOTHING
    return replace(now, state=State.SPENT if now.is_late else State.READY, outcome=outcome)


def _doubt(call: Call) -> Outcome:
    """Without a commit's request nothing becomes visible, whatever else fails."""
    return Outcome.UNKNOWN if call is Call.COMMIT else Outcome.NOTHING
