"""Fencing judged from an audit: whoever moves an offset must be the one who took it over last."""

from __future__ import annotations

from tests.chaos.epochs import Holder, Move, Place, held_by, intruders, is_outrun

P0, P1 = Place("sink", "topic", 0), Place("sink", "topic", 1)


def takes(writer: str, place: Place = P0) -> Move:
    return Move(place, True, writer)


def moves(writer: str, place: Place = P0) -> Move:
    return Move(place, False, writer)


def test_owners_that_move_their_own_offsets_are_no_intruders() -> None:
    assert intruders([takes("a"), moves("a"), takes("b"), moves("b"), takes("a"), moves("a")]) == []


def test_a_zombie_that_moves_what_its_successor_has_taken_is_an_intruder_each_time() -> None:
    assert intruders([takes("a"), moves("a"), takes("b"), moves("a"), moves("b"), moves("a")]) == ["a", "a"]


def test_each_partition_has_its_own_owner() -> None:
    assert intruders([takes("a", P0), takes("b", P1), moves("a", P0), moves("b", P1)]) == []
    assert intruders([takes("a", P0), takes("b", P1), moves("a", P1)]) == ["a"]


def test_who_moves_what_nobody_has_taken_is_an_intruder() -> None:
    assert intruders([moves("a")]) == ["a"]


def test_a_sleeper_is_outrun_when_others_own_and_have_moved_all_that_it_had() -> None:
    had = held_by("a", {P0: Holder("a", "a"), P1: Holder("a", ""), Place("sink", "topic", 2): Holder("b", "b")})
    assert had == {P0, P1}
    assert not is_outrun("a", had, {P0: Holder("b", "b"), P1: Holder("a", "")})
    assert not is_outrun("a", had, {P0: Holder("b", "a"), P1: Holder("b", "b")})
    assert is_outrun("a", had, {P0: Holder("b", "b"), P1: Holder("c", "c")})
