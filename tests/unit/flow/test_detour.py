from __future__ import annotations

from mainstem.flow.detour import MOST_BATCHES, Detour


def length(detour: Detour) -> int:
    """Batches until the short way is tried again."""
    count = 0
    while detour.is_taken():
        count += 1
    return count


def test_the_short_way_is_taken_until_it_fails() -> None:
    assert length(Detour()) == 0


def test_each_failure_doubles_the_detour_up_to_its_bound() -> None:
    detour, lengths = Detour(), []
    for _ in range(9):
        detour.failed()
        lengths.append(length(detour))
    assert lengths == [1, 2, 4, 8, 16, 32, 64, MOST_BATCHES, MOST_BATCHES]


def test_once_it_worked_the_next_failure_costs_one_batch_again() -> None:
    detour = Detour()
    for _ in range(5):
        detour.failed()
        length(detour)
    detour.worked()
    detour.failed()
    assert length(detour) == 1
