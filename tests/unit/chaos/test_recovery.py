"""The clock of recovery: a fault is over when the work has gone on in every partition."""

from __future__ import annotations

from tests.chaos.recovery import Recovery

A, B = ("sink", 0), ("sink", 1)


def begun() -> Recovery:
    recovery = Recovery()
    recovery.see({A: 10, B: 10}, 0.0)
    return recovery


def test_it_is_over_when_the_last_partition_goes_on() -> None:
    recovery = begun()
    recovery.strike("kill", 1.0)
    recovery.see({A: 11, B: 10}, 2.0)
    assert not recovery.is_over
    recovery.see({A: 12, B: 11}, 4.5)
    assert recovery.is_over
    assert (recovery.longest_s, recovery.longest_of) == (3.5, "kill")


def test_faults_that_overlap_are_counted_each_from_its_own_time() -> None:
    recovery = begun()
    recovery.strike("first", 1.0)
    recovery.strike("second", 3.0)
    recovery.see({A: 11, B: 11}, 5.0)
    assert recovery.is_over
    assert (recovery.longest_s, recovery.longest_of) == (4.0, "first")


def test_what_was_seen_before_a_fault_is_no_sign_of_recovery_from_it() -> None:
    recovery = begun()
    recovery.see({A: 20, B: 20}, 1.0)
    recovery.strike("kill", 2.0)
    recovery.see({A: 20, B: 20}, 3.0)
    assert not recovery.is_over


def test_the_longest_stays_the_longest() -> None:
    recovery = begun()
    for fault, struck, seen, position in (("long", 1.0, 9.0, 11), ("short", 10.0, 11.0, 12)):
        recovery.strike(fault, struck)
        recovery.see({A: position, B: position}, seen)
    assert (recovery.longest_s, recovery.longest_of) == (8.0, "long")
