"""What is done beyond an offset, as a note that fits beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.flow.ahead_note import SPAN, read_note, write_note

MAX_BYTES = 4096
"""What a broker takes unless it is told otherwise."""


@given(st.integers(0, 1 << 40), st.sets(st.integers(0, SPAN - 1), max_size=50))
def test_a_note_says_what_it_was_given(position: int, ahead: set[int]) -> None:
    done = {position + one for one in ahead}
    assert read_note(position, write_note(position, done)) == done


def test_the_longest_note_fits() -> None:
    assert len(write_note(7, range(7, 7 + SPAN))) <= MAX_BYTES


@pytest.mark.parametrize("offset", [6, 7 + SPAN])
def test_what_does_not_fit_is_refused(offset: int) -> None:
    with pytest.raises(ValueError, match="not within"):
        write_note(7, [8, offset])


@pytest.mark.parametrize("note", ["", "somebody's own", "m2:AAAA", "m1:not base64", "m1:AAA"])
def test_a_note_that_is_not_ours_says_nothing(note: str) -> None:
    assert read_note(7, note) == frozenset()
