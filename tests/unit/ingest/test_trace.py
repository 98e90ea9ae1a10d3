from __future__ import annotations

import re

import pytest

from mainstem.ingest.trace import trace_id, traceparent

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_valid_parent_is_kept() -> None:
    assert traceparent(GIVEN) == GIVEN
    assert trace_id(GIVEN) == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "given", [None, "", "ff" + GIVEN[2:], "00-" + "0" * 32 + GIVEN[35:], GIVEN.upper(), GIVEN + "\n"]
)
def test_anything_else_starts_a_new_trace(given: str | None) -> None:
    made = traceparent(given)

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
    assert made != traceparent(given)
