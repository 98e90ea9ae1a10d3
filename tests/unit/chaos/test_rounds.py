"""A campaign's rounds: how faults are divided, what a seed repeats, and what an interrupted campaign still knows."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.campaign import ENTRIES, Entry, Kept, Round, listed, rounds
from tests.chaos.scenario import Ground, Tally


@dataclass(frozen=True)
class Named:
    """A scenario that does nothing."""

    name: str

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        return Tally(self.name, {"none": faults}, records=dice.randrange(1000))


SCENARIOS = [(Named("large"), Entry("some.large", 40)), (Named("small"), Entry("some.small", 10))]


def test_faults_are_divided_as_in_the_dose_of_the_tests_and_none_is_left_out() -> None:
    planned = rounds(SCENARIOS, 500, seed=1)
    each = {name: [one.faults for one in planned if one.scenario.name == name] for name in ("large", "small")}
    assert each == {"large": [40] * 10, "small": [10] * 10}
    assert sum(one.faults for one in rounds(SCENARIOS, 333, seed=1)) >= 333


def test_a_scenario_may_have_another_share_of_a_campaign_than_of_the_tests() -> None:
    planned = rounds([*SCENARIOS, (Named("long"), Entry("some.long", 5, share=50))], 500, seed=1)
    each = Counter(one.scenario.name for one in planned for _ in range(one.faults))
    assert each == {"large": 200, "small": 50, "long": 250}
    assert max(one.faults for one in planned if one.scenario.name == "long") == 5


def test_scenarios_take_turns() -> None:
    assert [one.name for one in rounds(SCENARIOS, 100, seed=1)] == ["large-000", "small-000", "large-001", "small-001"]


def test_a_seed_repeats_the_campaign_and_every_round_has_its_own() -> None:
    planned = rounds(SCENARIOS, 500, seed=1)
    assert planned == rounds(SCENARIOS, 500, seed=1)
    assert len({one.seed for one in planned}) == len(planned)
    assert {one.seed for one in planned}.isdisjoint(one.seed for one in rounds(SCENARIOS, 500, seed=2))


def test_a_round_that_is_over_is_known_again_and_another_one_is_not_taken_for_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "chaos")
    first, second, *_ = rounds(SCENARIOS, 100, kept.seed(7))
    tally = Tally("large", {"kill": 40}, 1000, zombies_woken=1, zombies_fenced=1, notes=("a note",))
    kept.keep(first, tally)
    again = Kept(tmp_path / "chaos")
    assert again.seed(None) == 7
    assert again.tally(first) == tally
    assert again.tally(second) is None
    assert again.tally(Round(first.scenario, first.number, first.faults, first.seed + 1)) is None
    assert again.tally(Round(first.scenario, first.number, first.faults + 1, first.seed)) is None


def test_a_round_that_another_process_is_at_or_that_is_over_is_left_alone(tmp_path: Path) -> None:
    kept, beside = Kept(tmp_path / "chaos"), Kept(tmp_path / "chaos")
    first, second, *_ = rounds(SCENARIOS, 100, kept.seed(7))
    with kept.claimed(first) as is_ours, beside.claimed(first) as is_theirs, beside.claimed(second) as is_another:
        assert (is_ours, is_theirs, is_another) == (True, False, True)
    with beside.claimed(first) as is_theirs:
        assert is_theirs
    kept.keep(first, Tally("large", {}, 0))
    with beside.claimed(first) as is_theirs:
        assert not is_theirs


def test_a_fresh_campaign_knows_nothing_of_the_one_before(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "chaos")
    (first, *_) = rounds(SCENARIOS, 100, kept.seed(7))
    kept.keep(first, Tally("large", {}, 0))
    kept.clear()
    assert kept.tally(first) is None
    assert not (tmp_path / "chaos" / "seed").exists()


def test_the_dose_of_the_tests_is_a_hundred_faults() -> None:
    assert sum(entry.ci_faults for entry in ENTRIES) == 100


def test_every_scenario_has_a_name_of_its_own_and_a_missing_one_is_not_listed() -> None:
    names = [scenario.name for scenario, _ in listed()]
    assert "sql-sink" in names
    assert len(set(names)) == len(names)
    assert listed([Entry("tests.chaos.nobody_has_written_this", 1)]) == []
