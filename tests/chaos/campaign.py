"""A campaign: the scenarios there are, the rounds that they are run in, and what is kept of each finished one.

Every round has a seed of its own, drawn from the campaign's, and is kept in a file when it is over: a campaign that was
interrupted goes on with the next round.
"""

from __future__ import annotations

import fcntl
import importlib
import importlib.util
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mainstem.devstack.stack import write_private
from tests.chaos.scenario import Ground, Scenario, Tally


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the campaign."""

    module: str
    """It has a SCENARIO. A module that does not exist yet is left out."""
    ci_faults: int
    """In one run of pytest, a hundred over all scenarios; also in each round of a campaign."""
    share: int = 0
    """Of a campaign's faults, beside the others' shares; `ci_faults` where it is not said."""

    @property
    def weight(self) -> int:
        return self.share or self.ci_faults


ENTRIES = (
    Entry("tests.chaos.sql_sink", 32),
    Entry("tests.chaos.network", 10),
    Entry("tests.chaos.sources", 15),
    Entry("tests.chaos.http_sink", 15),
    Entry("tests.chaos.letters", 10),
    Entry("tests.chaos.replay", 10),
    Entry("tests.chaos.engine", 8, share=23),  # 200 of a thousand
)


def listed(entries: Sequence[Entry] = ENTRIES) -> list[tuple[Scenario, Entry]]:
    """The scenarios whose modules exist."""
    there = [entry for entry in entries if importlib.util.find_spec(entry.module) is not None]
    return [(importlib.import_module(entry.module).SCENARIO, entry) for entry in there]


@dataclass(frozen=True, slots=True)
class Round:
    """One run of one scenario."""

    scenario: Scenario
    number: int
    faults: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.scenario.name}-{self.number:03}"

    def run(self, ground: Ground) -> Tally:
        return self.scenario.run(ground, self.faults, random.Random(self.seed))


def rounds(scenarios: Sequence[tuple[Scenario, Entry]], faults: int, seed: int) -> list[Round]:
    """So many faults over these scenarios in their proportion, none fewer: round by round, all scenarios in turn."""
    weights = sum(entry.weight for _, entry in scenarios)
    planned = [
        Round(scenario, number, size, random.Random(f"{seed}/{scenario.name}/{number}").randrange(1 << 32))
        for scenario, entry in scenarios
        for number, size in enumerate(_sizes(-(-faults * entry.weight // weights), entry.ci_faults))
    ]
    return sorted(planned, key=lambda one: one.number)


def _sizes(faults: int, most: int) -> Iterator[int]:
    while faults > 0:
        yield min(faults, most)
        faults -= most


class Kept:
    """The folder in which a campaign keeps its rounds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Begins anew."""
        shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)

    def seed(self, wished: int | None) -> int:
        """The campaign's: the wished one, or the one it was begun with, or a new one."""
        file = self.folder / "seed"
        if wished is None:
            wished = int(file.read_text()) if file.exists() else random.randrange(1 << 32)
        file.write_text(f"{wished}\n")
        return wished

    def tally(self, one: Round) -> Tally | None:
        """What came of the round, if exactly this one is over: the same faults and the same seed."""
        file = self.folder / f"{one.name}.json"
        if not file.exists():
            return None
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Tally.read(kept["tally"]) if (kept["faults"], kept["seed"]) == (one.faults, one.seed) else None

    def keep(self, one: Round, tally: Tally) -> None:
        content = {"faults": one.faults, "seed": one.seed, "tally": tally.as_dict()}
        write_private(self.folder / f"{one.name}.json", json.dumps(content, indent=2) + "\n")

    @contextmanager
    def claimed(self, one: Round) -> Iterator[bool]:
        """Whether the round is ours to run: not over, and no other process is at it. Given up with this process too."""
        with (self.folder / f"{one.name}.claim").open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield self.tally(one) is None

    def ground(self, one: Round) -> Path:
        """An empty folder for the round."""
        folder = self.folder / "grounds" / one.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
