"""The judge of the engine's workers: each planted wrong is found and named as what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.chaos.engine_verdict import Output, Seen, judge_engine
from tests.chaos.oracle import Mark, Verdict
from tests.chaos.scenario import Tally

PUBLISHED = [Mark(str(number), f"k{number % 2}", number // 2) for number in range(8)]
POISON = {"3"}
GOOD = [mark for mark in PUBLISHED if mark.event_id not in POISON]
POISONED = PUBLISHED[3]


def counted(marks: Sequence[Mark]) -> list[Output]:
    counts: Counter[str] = Counter()
    outputs = []
    for mark in marks:
        counts[mark.key] += 1
        outputs.append(Output(mark, counts[mark.key]))
    return outputs


RIGHT = Seen(counted(GOOD), [POISONED], {"k0": 4, "k1": 3})


def judged(seen: Seen) -> dict[str, int]:
    """How many of each kind of wrong."""
    return {name: len(marks) for name, marks in judge_engine(PUBLISHED, POISON, seen).defects().items()}


def test_nobody_is_blamed_for_nothing() -> None:
    assert judge_engine(PUBLISHED, POISON, RIGHT) == Verdict()


def test_where_nothing_is_counted_no_count_is_missed() -> None:
    assert judged(Seen([Output(mark) for mark in GOOD], [POISONED])) == {}


def test_an_output_that_is_missing_is_lost() -> None:
    assert judged(replace(RIGHT, outputs=RIGHT.outputs[:-1])) == {"lost": 1}


def test_an_output_that_comes_twice_is_doubled_and_counted_too_often() -> None:
    assert judged(replace(RIGHT, outputs=[*RIGHT.outputs, RIGHT.outputs[-1]])) == {"doubled": 1, "miscounted": 1}


def test_an_event_that_was_counted_again_is_doubled_and_found_in_the_table_too() -> None:
    again = replace(RIGHT, outputs=counted([*GOOD, GOOD[-1]]), table={"k0": 4, "k1": 4})
    assert judged(again) == {"doubled": 1, "miscounted": 1}


def test_outputs_of_a_key_that_changed_places_are_reordered() -> None:
    first, second, third, *rest = GOOD
    assert judged(replace(RIGHT, outputs=counted([third, second, first, *rest]))) == {"reordered": 1}


@pytest.mark.parametrize("wrong", [None, 0, 2, 9])
def test_a_wrong_count_is_found(wrong: int | None) -> None:
    outputs = [*RIGHT.outputs]
    outputs[-1] = replace(outputs[-1], count=wrong)
    assert judged(replace(RIGHT, outputs=outputs)) == {"miscounted": 1}


@pytest.mark.parametrize("table", [{"k0": 4}, {"k0": 4, "k1": 4}, {"k0": 4, "k1": 3, "k2": 1}])
def test_a_last_value_that_is_not_the_number_of_events_is_found(table: dict[str, int]) -> None:
    assert judged(replace(RIGHT, table=table)) == {"miscounted": 1}


def test_a_dead_letter_that_is_missing_is_lost_and_one_that_comes_twice_is_doubled() -> None:
    assert judged(replace(RIGHT, letters=[])) == {"lost": 1}
    assert judged(replace(RIGHT, letters=[POISONED, POISONED])) == {"doubled": 1}


def test_what_a_poisoned_event_has_written_is_seen_though_it_never_was() -> None:
    outputs = [*RIGHT.outputs, Output(POISONED, 4)]
    assert judged(replace(RIGHT, outputs=outputs, table={"k0": 4, "k1": 3})) == {"invented": 1}


def test_a_good_event_among_the_dead_letters_is_found() -> None:
    assert judged(replace(RIGHT, letters=[POISONED, GOOD[0]])) == {"invented": 1}


def test_a_wrong_count_is_wrong_in_the_tally_and_told() -> None:
    seen = replace(RIGHT, table={"k0": 5, "k1": 3})
    tally = Tally.of("engine", judge_engine(PUBLISHED, POISON, seen), faults={}, records=len(PUBLISHED))
    assert tally.wrong == 1
    assert any("k0 ends with 5, not 4" in note for note in tally.notes)
