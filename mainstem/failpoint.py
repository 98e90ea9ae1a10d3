"""Named places in the code where a test makes this process die, stop or fail. Nothing happens there otherwise.

    MAINSTEM_FAILPOINTS="source.before_commit=kill@0.05,sink.after_commit=kill#3,sink.before_write=raise:Unreachable"

An action is `kill` (SIGKILL of this process), `stop` (SIGSTOP), or `raise:` and a class name of mainstem.errors.
It is taken at every hit, with `@p` at a share of them, with `#n` at the n-th only. Without the variable `failpoint` is
an empty function; which of the two it is, is decided once, when this module is imported.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from mainstem import errors

VARIABLE: Final = "MAINSTEM_FAILPOINTS"

NAMES: Final = frozenset({
    "source.read", "source.before_commit", "source.after_commit", "source.acknowledged",
    "sink.taken_over", "sink.before_write", "sink.before_commit", "sink.after_commit",
    "outbox.before_commit", "outbox.after_commit",
    "redrive.before_commit", "redrive.after_commit",
    "replay.before_commit", "replay.after_commit",
})  # fmt: skip
"""All that exist: a name that is written wrongly in the variable would never be hit, and its test would pass."""

_SETTING: Final = re.compile(
    r"(?P<name>[a-z_.]+)=(?P<action>kill|stop|raise:(?P<error>\w+))(?:@(?P<share>\d*\.?\d+)|#(?P<nth>[1-9]\d*))?"
)

Act = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a failpoint acts, and what it does then."""

    act: Act
    share: float = 1.0
    """Of the hits, between 0 and 1."""
    nth: int | None = None
    """The only hit at which it acts, counted from 1."""

    def is_due(self, hit: int, dice: random.Random) -> bool:
        """Whether it acts at this hit, counted from 1."""
        return hit == self.nth if self.nth is not None else dice.random() < self.share


def read_triggers(text: str) -> dict[str, Trigger]:
    """What the variable asks for, by the failpoint's name. Raises Misconfigured when it cannot be read."""
    return dict(_trigger(setting.strip()) for setting in text.split(",") if setting.strip())


def armed(triggers: Mapping[str, Trigger], dice: random.Random) -> Callable[[str], None]:
    """A `failpoint` that obeys these triggers. It may be called from any thread."""
    hits = {name: count(1) for name in triggers}

    def hit(name: str) -> None:
        trigger = triggers.get(name)
        if trigger is not None and trigger.is_due(next(hits[name]), dice):
            trigger.act()

    return hit


def _trigger(setting: str) -> tuple[str, Trigger]:
    found = _SETTING.fullmatch(setting)
    if found is None or found["name"] not in NAMES:
        raise errors.Misconfigured(
            f"{VARIABLE} has {setting!r}",
            fix=f"write <name>=kill|stop|raise:<error>, with @<share> or #<n>; names are {', '.join(sorted(NAMES))}",
        )
    act = _raise(found["error"]) if found["error"] else _signal(found["action"])
    share = float(found["share"]) if found["share"] else 1.0
    return found["name"], Trigger(act, share, int(found["nth"]) if found["nth"] else None)


def _signal(action: str) -> Act:
    number = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action]
    return lambda: os.kill(os.getpid(), number)


def _raise(name: str) -> Act:
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.MainstemError)):
        raise errors.Misconfigured(f"{VARIABLE} raises {name!r}", fix="name a class of mainstem.errors")

    def act() -> None:
        raise kind(f"a failpoint raised {name}")

    return act


def _nothing(name: str) -> None:
    """Where nobody asks for failpoints there are none."""


failpoint: Final[Callable[[str], None]] = (
    armed(read_triggers(os.environ[VARIABLE]), random.Random())  # noqa: S311 - faults are drawn, not secrets
    if os.environ.get(VARIABLE)
    else _nothing
)
"""Marks a place in the code by its name, one of NAMES."""
