"""What a chaos scenario is: something that runs while faults strike, and the tally of what became of it.

A scenario is one file in this folder with a module-level `SCENARIO`, entered in tests/chaos/campaign.py with one line.
"""

from __future__ import annotations

import random
import socket
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

from mainstem import devstack
from mainstem.devstack.lock import exclusive
from tests.chaos.oracle import DEFECTS, Verdict


@dataclass(frozen=True, slots=True)
class Tally:
    """One run of a scenario, or several of them together."""

    scenario: str
    faults: Mapping[str, int]
    """How many struck, by kind: those that were injected, not those that were planned."""
    records: int
    """Published in all; each of them was judged."""
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    skipped: int = 0
    aborted_read: int = 0
    invented: int = 0
    withheld: int = 0
    miscounted: int = 0
    zombies_woken: int = 0
    """Workers that were stopped until another one had their work, and then went on."""
    zombies_fenced: int = 0
    """Those of them that left the work without another effect."""
    intrusions: int = 0
    """Times that anybody moved an offset which another one had taken over."""
    longest_recovery_s: float = 0.0
    """From a fault until the work went on (committed offsets, effects), at worst."""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    """For people: examples of what is wrong, or what a figure does not say."""

    @classmethod
    def of(cls, scenario: str, verdict: Verdict, *, faults: Mapping[str, int], records: int, **figures: Any) -> Self:
        """With the oracle's counts, and its examples as notes; `figures` are the other fields."""
        counts = {name: len(marks) for name, marks in verdict.defects().items()}
        notes = (*verdict.examples(), *figures.pop("notes", ()))
        return cls(scenario, dict(faults), records, **counts, **figures, notes=notes)

    @classmethod
    def together(cls, scenario: str, tallies: Iterable[Self]) -> Self:
        """The sum of several runs; of the recoveries, the longest."""
        total = cls(scenario, {}, 0)
        for one in tallies:
            sums = {name: getattr(total, name) + getattr(one, name) for name in (*SUMMED, *DEFECTS)}
            total = replace(
                total,
                faults=dict(Counter(total.faults) + Counter(one.faults)),
                longest_recovery_s=max(total.longest_recovery_s, one.longest_recovery_s),
                **sums,
            )
        return total

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """What `as_dict` gave, from JSON."""
        return cls(**{**kept, "notes": tuple(kept["notes"])})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def struck(self) -> int:
        """Faults of all kinds."""
        return sum(self.faults.values())

    @property
    def wrong(self) -> int:
        """Records that suffered a wrong, intrusions, and zombies that were not fenced. Zero is the only good figure."""
        defects: int = sum(getattr(self, name) for name in DEFECTS)
        return defects + self.intrusions + self.zombies_woken - self.zombies_fenced


SUMMED = ("records", "zombies_woken", "zombies_fenced", "intrusions", "seconds", "notes")


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a scenario runs: a stack that it may break, and a folder of its own."""

    home: Path
    """The folder of the stack, for `devstack.ensure`."""
    folder: Path
    """Empty, for projects and logs; kept when something went wrong."""
    stack: devstack.Stack
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    """Goes into the names of topics, subjects, databases: the stack's data outlives the run."""

    @classmethod
    def of(cls, home: Path, folder: Path) -> Self:
        """On the stack of that folder; what a round before has left dead is started again."""
        return cls(home, folder, devstack.ensure(home, ends_with_its_users=True).stack)

    def restore(self) -> devstack.Stack:
        """Starts again what was killed of the stack, on the same ports and data; blocks until it answers."""
        return devstack.ensure(self.home, ends_with_its_users=True).stack

    def free_port(self) -> int:
        """A port on which nobody listens."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return int(listener.getsockname()[1])


@contextmanager
def open_stack(home: Path) -> Iterator[devstack.Stack]:
    """The stack of that folder, for one user at a time: what one breaks no other one stands on."""
    with exclusive(home / "chaos.lock"), devstack.shared(home) as running:
        yield running.stack


class Scenario(Protocol):
    """One path of the backbone under faults."""

    @property
    def name(self) -> str:
        """In tables and on the command line: `sql-sink`."""

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        """Strikes so many times, all choices drawn from `dice`, waits until everything is settled, and judges.

        Defects are figures of the tally, not exceptions; it raises only where it could not come to a judgement
        (everything did not settle in time: say what is missing).
        """
