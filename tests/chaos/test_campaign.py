"""The dose of chaos that every run of the tests takes: a hundred faults over all scenarios. `make chaos` takes ten."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.__main__ import HOME
from tests.chaos.campaign import Entry, listed
from tests.chaos.scenario import Ground, Scenario, open_stack

pytestmark = pytest.mark.stack

SCENARIOS = [pytest.param(scenario, entry, id=scenario.name) for scenario, entry in listed()]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with open_stack(HOME):
        yield Ground.of(HOME, tmp_path)


@pytest.mark.parametrize(("scenario", "entry"), SCENARIOS)
def test_nothing_is_lost_doubled_or_reordered_whatever_is_killed(
    scenario: Scenario, entry: Entry, ground: Ground
) -> None:
    seed = int(os.environ.get("MAINSTEM_CHAOS_SEED", random.randrange(1 << 32)))
    print(f"MAINSTEM_CHAOS_SEED={seed}")  # noqa: T201 - shown by pytest when it fails
    tally = scenario.run(ground, entry.ci_faults, random.Random(seed))
    print(tally)  # noqa: T201
    assert tally.wrong == 0
    assert tally.struck >= entry.ci_faults
