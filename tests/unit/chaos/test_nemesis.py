"""Decks and agendas: every kind of fault has its turn, and what was begun is ended."""

from __future__ import annotations

import random
from collections import Counter

from tests.backbone_process import until
from tests.chaos.nemesis import Act, Agenda, Deck, Fault, Spell


def test_every_kind_has_its_turn_before_the_deck_is_shuffled_again() -> None:
    made = {name: Act(name, lambda: True) for name in "abc"}
    deck = Deck([(2, lambda: made["a"]), (1, lambda: made["b"]), (1, lambda: made["c"])], random.Random(1))
    struck: Counter[str] = Counter()

    def strike(fault: Fault) -> bool:
        struck[fault.name] += 1
        return fault.strike()

    for turns in range(1, 4):
        for _ in range(4):
            deck.strike(strike)
        assert struck == {"a": 2 * turns, "b": turns, "c": turns}


def test_a_fault_that_finds_nothing_keeps_its_turn() -> None:
    is_there = False
    struck: list[str] = []
    deck = Deck([(1, lambda: Act("shy", lambda: is_there)), (1, lambda: None)], random.Random(1))

    def strike(fault: Fault) -> bool:
        if not fault.strike():
            return False
        struck.append(fault.name)
        return True

    for _ in range(10):
        deck.strike(strike)
    assert struck == []
    is_there = True
    for _ in range(10):
        deck.strike(strike)
    assert struck == ["shy"]


def test_the_agenda_does_each_thing_once_when_its_time_has_come() -> None:
    agenda, done, is_time = Agenda(), [], False
    agenda.when(lambda: is_time, lambda: done.append("later"))
    agenda.do_due()
    assert (done, agenda.is_done) == ([], False)
    is_time = True
    agenda.do_due()
    agenda.do_due()
    assert (done, agenda.is_done) == (["later"], True)


def test_what_is_put_on_the_agenda_by_what_is_on_it_is_not_forgotten() -> None:
    agenda, done = Agenda(), []
    agenda.after(0, lambda: agenda.after(0, lambda: done.append("both")))
    agenda.do_due()
    agenda.do_due()
    assert done == ["both"]


def test_a_spell_is_over_when_it_has_been_ended() -> None:
    agenda, state = Agenda(), ["well"]
    spell = Spell("ill", agenda, 0.02, lambda: state.append("ill"), lambda: state.append("well"))
    assert spell.strike()
    assert (state[-1], spell.is_over()) == ("ill", False)

    def healed() -> bool:
        agenda.do_due()
        return spell.is_over()

    until(healed)
    assert state == ["well", "ill", "well"]
