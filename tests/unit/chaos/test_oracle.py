"""The judge itself: each planted wrong is found and named as what it is, and nobody is blamed for nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.chaos.oracle import EXACTLY_ONCE, History, Mark, Rules, Verdict, judge
from tests.chaos.scenario import Tally
from tests.thorough import examples


def mark(key: str, seq: int, token: str = "") -> Mark:
    return Mark(f"{key}-{seq}", key, seq, token)


A0, A1, A2, A3 = (mark("a", seq) for seq in range(4))
B0, B1 = mark("b", 0), mark("b", 1)
STRANGER = mark("x", 0)
PUBLISHED = (A0, B0, A1, A2, B1, A3)
GOOD = History(PUBLISHED, delivered=(B0, A0, A1, B1), waiting=(A2, A3))


def delivering(*marks: Mark) -> History:
    return replace(GOOD, delivered=marks, waiting=())


ALL = (A0, A1, A2, A3, B0, B1)


@pytest.mark.parametrize(
    ("history", "found"),
    [
        pytest.param(GOOD, Verdict(), id="delivered or waiting, in order"),
        pytest.param(delivering(*ALL), Verdict(), id="all delivered"),
        pytest.param(replace(GOOD, waiting=(A3,), dropped=[A2.event_id]), Verdict(), id="one dropped"),
        pytest.param(
            replace(GOOD, delivered=(A0, A1, A3, B0, B1), waiting=(), dropped=[A2.event_id]),
            Verdict(),
            id="a later one goes on behind a dropped one",
        ),
        pytest.param(delivering(*ALL[:3], B0, B1), Verdict(lost=(A3,)), id="lost at the end"),
        pytest.param(delivering(A0, A2, A3, B0, B1), Verdict(lost=(A1,), skipped=(A1,)), id="lost on the way"),
        pytest.param(replace(GOOD, waiting=(A2,)), Verdict(lost=(A3,)), id="lost from the waiting ones"),
        pytest.param(delivering(*ALL, A1), Verdict(doubled=(A1,)), id="delivered twice"),
        pytest.param(replace(GOOD, waiting=(A2, A3, A2)), Verdict(doubled=(A2,)), id="waiting twice"),
        pytest.param(replace(GOOD, waiting=(A1, A2, A3)), Verdict(doubled=(A1,)), id="delivered and waiting"),
        pytest.param(replace(GOOD, dropped=[A1.event_id]), Verdict(doubled=(A1,)), id="delivered and dropped"),
        pytest.param(replace(GOOD, dropped=[A2.event_id]), Verdict(doubled=(A2,)), id="waiting and dropped"),
        pytest.param(delivering(A0, A2, A1, A3, B0, B1), Verdict(reordered=(A1,)), id="delivered out of order"),
        pytest.param(replace(GOOD, waiting=(A3, A2)), Verdict(reordered=(A2,)), id="waiting out of order"),
        pytest.param(
            replace(GOOD, delivered=(A0, A1, A3, B0, B1), waiting=(A2,)),
            Verdict(skipped=(A2,)),
            id="delivered while an earlier one waits",
        ),
        pytest.param(
            replace(GOOD, delivered=(*GOOD.delivered, STRANGER), aborted=[STRANGER.event_id]),
            Verdict(aborted_read=(STRANGER,)),
            id="seen from an aborted transaction",
        ),
        pytest.param(
            replace(GOOD, delivered=(*GOOD.delivered, STRANGER)),
            Verdict(invented=(STRANGER,)),
            id="nobody published it",
        ),
        pytest.param(
            replace(GOOD, waiting=(*GOOD.waiting, STRANGER)), Verdict(invented=(STRANGER,)), id="an invented letter"
        ),
        pytest.param(
            delivering(*ALL[:5], Mark(B1.event_id, "a", 1)),
            Verdict(lost=(B1,), invented=(Mark(B1.event_id, "a", 1),)),
            id="another key than the published one",
        ),
    ],
)
def test_each_wrong_is_named_as_what_it_is(history: History, found: Verdict) -> None:
    assert judge(history) == found


def test_a_repeat_is_allowed_up_to_the_bound_with_the_first_ones_token() -> None:
    kept = [one._replace(token=f"{one.event_id}/0") for one in ALL]
    again = delivering(*kept, *kept[2:4])
    assert judge(again, Rules(repeats=2)).is_clean
    assert judge(again, Rules(repeats=2)).repeats == 2
    assert judge(again, Rules(repeats=1)).doubled == (kept[3],)
    other = kept[0]._replace(token="another")
    assert judge(delivering(*kept, other), Rules(repeats=9)).doubled == (other,)


def test_where_skipping_is_promised_a_later_one_may_pass_a_waiting_one() -> None:
    assert judge(replace(GOOD, delivered=(A0, A1, A3, B0, B1), waiting=(A2,)), Rules(may_pass=True)).is_clean


@pytest.mark.parametrize("published", [(A1, A0), (A0, A0), (A0, Mark(A0.event_id, "b", 0))])
def test_a_history_whose_beginning_is_no_order_cannot_be_judged(published: Sequence[Mark]) -> None:
    with pytest.raises(ValueError, match="published"):
        judge(History(published, published))


def test_the_tally_counts_what_the_verdict_names_and_shows_examples() -> None:
    verdict = judge(replace(GOOD, delivered=(A0, A1, A3, A0, B0), waiting=()))
    tally = Tally.of("some", verdict, faults={"kill": 3}, records=6, zombies_woken=2, zombies_fenced=1)
    assert (tally.lost, tally.doubled, tally.skipped, tally.wrong) == (2, 1, 1, 5)
    assert any("a/0" in note for note in tally.notes if note.startswith("doubled 1"))
    assert Tally.read(tally.as_dict()) == tally
    both = Tally.together("some", [tally, tally])
    assert (both.faults, both.records, both.wrong, both.struck) == ({"kill": 6}, 12, 10, 6)


Plant = Callable[[History, random.Random], History | None]
"""Plants one wrong; None where this history has no place for it."""


def _lose(history: History, dice: random.Random) -> History | None:
    seen = [*history.delivered, *history.waiting]
    if not seen:
        return None
    victim = dice.choice(seen)
    return replace(
        history,
        delivered=[one for one in history.delivered if one != victim],
        waiting=[one for one in history.waiting if one != victim],
    )


def _double(history: History, dice: random.Random) -> History | None:
    if not history.delivered:
        return None
    repeated = list(history.delivered)
    at = dice.randrange(len(repeated))
    repeated.insert(dice.randrange(at, len(repeated)) + 1, repeated[at])
    return replace(history, delivered=repeated)


def _wait_too(history: History, dice: random.Random) -> History | None:
    if not history.delivered:
        return None
    waiting = list(history.waiting)
    waiting.insert(dice.randrange(len(waiting) + 1), dice.choice(history.delivered))
    return replace(history, waiting=waiting)


def _swap(order: Sequence[Mark], dice: random.Random) -> list[Mark] | None:
    pairs = [(i, j) for j, late in enumerate(order) for i in range(j) if order[i].key == late.key]
    if not pairs:
        return None
    i, j = dice.choice(pairs)
    swapped = list(order)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    return swapped


def _reorder(history: History, dice: random.Random) -> History | None:
    swapped = _swap(history.delivered, dice)
    return None if swapped is None else replace(history, delivered=swapped)


def _reorder_waiting(history: History, dice: random.Random) -> History | None:
    swapped = _swap(history.waiting, dice)
    return None if swapped is None else replace(history, waiting=swapped)


def _overtake(history: History, dice: random.Random) -> History | None:
    first_of: dict[str, int] = {}
    later = [one for one in history.waiting if first_of.setdefault(one.key, one.seq) != one.seq]
    if not later:
        return None
    overtaker = dice.choice(later)
    waiting = [one for one in history.waiting if one != overtaker]
    return replace(history, delivered=[*history.delivered, overtaker], waiting=waiting)


def _invent(history: History, dice: random.Random) -> History | None:
    delivered = list(history.delivered)
    delivered.insert(dice.randrange(len(delivered) + 1), Mark("nobody's", dice.choice("abc"), dice.randrange(9)))
    return replace(history, delivered=delivered)


def _see_aborted(history: History, dice: random.Random) -> History | None:
    planted = _invent(history, dice)
    return None if planted is None else replace(planted, aborted=["nobody's"])


PLANTS: dict[Plant, str] = {
    _lose: "lost",
    _double: "doubled",
    _wait_too: "doubled",
    _reorder: "reordered",
    _reorder_waiting: "reordered",
    _overtake: "skipped",
    _invent: "invented",
    _see_aborted: "aborted_read",
}


@st.composite
def correct_histories(draw: st.DrawFn) -> History:
    """Keys whose events are delivered in order up to some place; what is behind it waits, after drops perhaps."""
    counts = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    dice = random.Random(draw(st.integers(0, 1 << 32)))
    delivered, waiting, dropped = [], [], []
    for key, count in zip("abcd", counts, strict=False):
        events = [mark(key, seq, f"token {key} {seq}") for seq in range(count)]
        reached = dice.randrange(count + 1)
        given_up = {one for one in events if dice.random() < 0.1}
        dropped += [one.event_id for one in given_up]
        delivered.append([one for one in events[:reached] if one not in given_up])
        waiting.append([one for one in events[reached:] if one not in given_up])
    published = [[mark(key, seq) for seq in range(count)] for key, count in zip("abcd", counts, strict=False)]
    return History(_mixed(published, dice), _mixed(delivered, dice), _mixed(waiting, dice), dropped)


def _mixed(lines: list[list[Mark]], dice: random.Random) -> list[Mark]:
    """One line of them all, each in its own order."""
    left = [list(line) for line in lines if line]
    mixed = []
    while left:
        line = dice.choice(left)
        mixed.append(line.pop(0))
        left = [one for one in left if one]
    return mixed


@given(history=correct_histories())
def test_a_correct_history_is_never_blamed(history: History) -> None:
    assert judge(history) == Verdict()
    assert judge(history).is_clean


@settings(max_examples=examples(300))
@given(history=correct_histories(), plant=st.sampled_from(list(PLANTS)), seed=st.integers(0, 1 << 32))
def test_a_planted_wrong_is_always_found(history: History, plant: Plant, seed: int) -> None:
    planted = plant(history, random.Random(seed))
    assume(planted is not None)
    assert planted is not None
    assert PLANTS[plant] in judge(planted, EXACTLY_ONCE).defects()


@given(history=correct_histories(), seed=st.integers(0, 1 << 32))
def test_a_repeated_stretch_is_clean_within_the_bound_and_never_beyond_it(history: History, seed: int) -> None:
    count = len(history.delivered)
    assume(count > 0)
    begin = random.Random(seed).randrange(count)
    again = replace(history, delivered=[*history.delivered, *history.delivered[begin:]])
    assert judge(again, Rules(repeats=count - begin)).is_clean
    assert len(judge(again, Rules(repeats=count - begin - 1)).doubled) == 1
